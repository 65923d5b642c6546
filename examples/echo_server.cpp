// SPDX-License-Identifier: MIT
// An echo server that gets half-close right: it answers everything it was sent, also what came
// right before the peer's FIN, and never reads faster than the peer takes the answers. Out of
// descriptors, it lets clients wait. Usage: echo_server [port]; without one, or with 0, the system
// chooses. Prints the port.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <string>
#include <system_error>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

using pollux::Interest;

struct Client {
  int fd;
  std::string unsent = {};
  bool ended = false;
  pollux::StreamWatch watch = {};
};

void serve(pollux::Reactor& reactor, int listener) {
  std::list<Client> clients;
  pollux::Watch accepting;
  pollux::Timer pause = reactor.timer([&] { accepting.set_interest(Interest::readable); });
  accepting = reactor.watch(listener, Interest::readable, [&](pollux::Watch& self, auto) {
    const int fd = non_blocking(::accept(listener, nullptr, nullptr));
    if (fd < 0) {
      // Out of descriptors or memory: who waits goes on waiting; the loop must not turn for it.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        self.set_interest(Interest::none);
        pause.restart(std::chrono::milliseconds{100});
      }
      return;  // or gone again before we came
    }
    const auto client = clients.insert(clients.end(), Client{fd});
    const auto on_event = [&clients, client](pollux::StreamWatch& watch,
                                             const pollux::StreamEvent& event) {
      auto& [socket, unsent, ended, owned] = *client;
      char buffer[4096];
      if (event.readable())
        if (const auto n = ::recv(socket, buffer, sizeof buffer, 0); n > 0)
          unsent.append(buffer, size_t(n));
      if (event.end_of_stream()) ended = true;  // and every byte before it has been read
      if (const auto n = ::send(socket, unsent.data(), unsent.size(), 0); n > 0)
        unsent.erase(0, size_t(n));
      if (!event.hangup() &&
          !(ended && unsent.empty()))  // back-pressure: answer first, then read on
        return watch.set_interest(unsent.empty() ? Interest::readable : Interest::writable);
      watch.reset();  // end the watch first, close then
      ::close(socket);
      clients.erase(client);
    };
    std::error_code error;
    client->watch = reactor.watch_stream(fd, Interest::readable, on_event, error);
    if (!error) return;
    ::close(fd);
    clients.erase(client);
  });
  reactor.run();
}

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that has gone is an event, and no end of the server
  const int listener = non_blocking(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, size) != 0 || ::listen(listener, 128) != 0 ||
      ::getsockname(listener, generic, &size) != 0) {
    std::perror("echo_server");
    return 1;
  }
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  pollux::Reactor reactor;
  serve(reactor, listener);
}
