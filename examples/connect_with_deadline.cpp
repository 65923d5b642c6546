// SPDX-License-Identifier: MIT
// Connects, and gives up after a while. Usage: connect_with_deadline <IPv4 address> <port> [<ms>]
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

int main(int argc, char** argv) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (argc < 3 || ::inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
    std::fputs("usage: connect_with_deadline <IPv4 address> <port> [<ms>]\n", stderr);
    return 2;
  }
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  const std::chrono::milliseconds patience{argc > 3 ? std::atoi(argv[3]) : 1000};

  const int fd = non_blocking(::socket(AF_INET, SOCK_STREAM, 0));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
      errno != EINPROGRESS) {
    std::perror("connect");
    return 1;
  }

  pollux::Reactor reactor;
  std::string outcome = "connected";
  pollux::StreamWatch watch =
      reactor.watch_stream(fd, pollux::Interest::writable, [&](const pollux::StreamEvent& event) {
        // Room to write: it is connected. Or it has failed, and the event says why.
        if (event.error()) outcome = event.error().message();
        reactor.stop();
      });
  const pollux::Timer deadline = reactor.after(patience, [&] {
    outcome = "too late";
    reactor.stop();
  });
  reactor.run();

  watch.close();  // a client would go on here, with watch.set_interest()
  std::puts(outcome.c_str());
  return outcome == "connected" ? 0 : 1;
}
