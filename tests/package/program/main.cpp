// SPDX-License-Identifier: MIT
// What somebody else's program may look like: it hears the end of a stream, and is done.
#include <pollux/pollux.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <string_view>

int main() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;

  pollux::Reactor reactor;
  bool ended = false;
  const auto on_event = [&](const pollux::StreamEvent& event) {
    if (!event.end_of_stream()) return;
    ended = true;
    reactor.stop();
  };
  pollux::StreamWatch watch = reactor.watch_stream(pair[0], pollux::Interest::readable, on_event);
  ::shutdown(pair[1], SHUT_WR);
  reactor.run_for(std::chrono::seconds{10});

  watch.reset();
  for (const int end : pair) ::close(end);
  return ended && std::string_view{pollux::version()} == POLLUX_VERSION_STRING ? 0 : 1;
}
