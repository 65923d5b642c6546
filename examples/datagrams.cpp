// SPDX-License-Identifier: MIT
// Questions and answers by UDP, in one process. Datagrams have no lifecycle: a readiness watch is
// what descriptors of one's own want here. (pollux::Datagram has its own, and does the rest.) They
// may be lost: what is not answered is asked again.
#include <chrono>
#include <cstdio>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

using namespace std::chrono_literals;
using pollux::Interest;

int main() {
  const int server = non_blocking(::socket(AF_INET, SOCK_DGRAM, 0));
  const int client = non_blocking(::socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(server, generic, size) != 0 || ::getsockname(server, generic, &size) != 0 ||
      ::connect(client, generic, size) != 0) {
    std::perror("datagrams");
    return 1;
  }

  pollux::Reactor reactor;
  pollux::Watch answering = reactor.watch(server, Interest::readable, [&](pollux::Readiness) {
    char question[1500];
    sockaddr_in from{};
    socklen_t length = sizeof from;
    auto* sender = reinterpret_cast<sockaddr*>(&from);
    const auto n = ::recvfrom(server, question, sizeof question, 0, sender, &length);
    if (n >= 0) ::sendto(server, question, static_cast<std::size_t>(n), 0, sender, length);
  });

  int number = 1;
  const auto ask = [&] {
    ::send(client, &number, sizeof number, 0);  // no room, or nobody there: asked again anyhow
  };
  pollux::Timer again = reactor.every(200ms, ask);
  pollux::Watch listening = reactor.watch(client, Interest::readable, [&](pollux::Readiness) {
    int answered = 0;
    if (::recv(client, &answered, sizeof answered, 0) != sizeof answered || answered != number)
      return;  // an answer that came twice, or the word that nobody is there
    std::printf("answer %d\n", answered);
    if (++number > 3) return reactor.stop();
    again.restart();
    ask();
  });
  ask();
  reactor.run();
  answering.close();
  listening.close();
}
