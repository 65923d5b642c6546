// SPDX-License-Identifier: MIT
// A program with an io_context of its own, that runs pollux on it. It finds Asio for itself.
#include <pollux/asio.hpp>

#include <pollux/pollux.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <asio/post.hpp>

int main() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;

  asio::io_context context;
  std::error_code error;
  pollux::Reactor reactor{pollux::make_asio_backend(context, error)};
  bool ended = false;
  const auto on_event = [&](const pollux::StreamEvent& event) {
    if (!event.end_of_stream()) return;
    ended = true;
    reactor.stop();
  };
  pollux::StreamWatch watch = reactor.watch_stream(pair[0], pollux::Interest::readable, on_event);
  asio::post(context, [&] { ::shutdown(pair[1], SHUT_WR); });
  reactor.run_for(std::chrono::seconds{10});

  watch.reset();
  for (const int end : pair) ::close(end);
  return ended ? 0 : 1;
}
