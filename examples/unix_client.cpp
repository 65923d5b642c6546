// SPDX-License-Identifier: MIT
// Sends its input to a unix socket, half-closes, and prints the answer to its end: nc -U, on one
// loop. Usage: unix_client <path> <text>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

using pollux::Interest;

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a server that has gone is an event
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (argc != 3 || std::strlen(argv[1]) >= sizeof address.sun_path) {
    std::fputs("usage: unix_client <path> <text>\n", stderr);
    return 2;
  }
  std::strcpy(address.sun_path, argv[1]);
  const int fd = close_on_exec(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror(argv[1]);
    return 1;
  }

  pollux::Reactor reactor;
  std::string unsent = argv[2];
  pollux::StreamWatch watch;
  const auto on_event = [&](const pollux::StreamEvent& event) {
    if (event.readable()) {
      char buffer[4096];
      if (const auto n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT); n > 0)
        std::fwrite(buffer, 1, static_cast<std::size_t>(n), stdout);
    }
    if (event.writable()) {
      const auto n = ::send(fd, unsent.data(), unsent.size(), MSG_DONTWAIT);
      if (n > 0) unsent.erase(0, static_cast<std::size_t>(n));
      if (unsent.empty()) {
        ::shutdown(fd, SHUT_WR);  // that was all; the answer is still to come
        watch.set_interest(Interest::readable);
      }
    }
    if (event.error()) std::fprintf(stderr, "%s\n", event.error().message().c_str());
    if (event.end_of_stream() || event.hangup()) reactor.stop();
  };
  watch = reactor.watch_stream(fd, Interest::readable | Interest::writable, on_event);
  reactor.run();
  watch.close();
}
