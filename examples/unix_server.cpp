// SPDX-License-Identifier: MIT
// Listens on a unix socket, and sends back in upper case what it gets, until SIGTERM. Answers all
// of a request whose sender has half-closed. Usage: unix_server <path>
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <list>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
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
using Clients = std::list<Client>;

void serve(Clients& clients, Clients::iterator client, const pollux::StreamEvent& event) {
  char buffer[4096];
  if (event.readable()) {
    if (const auto n = ::recv(client->fd, buffer, sizeof buffer, 0); n > 0)
      std::transform(buffer, buffer + n, std::back_inserter(client->unsent),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  if (event.end_of_stream()) client->ended = true;
  auto& unsent = client->unsent;
  if (const auto n = ::send(client->fd, unsent.data(), unsent.size(), 0); n > 0)
    unsent.erase(0, static_cast<std::size_t>(n));
  if (!event.hangup() && !(client->ended && unsent.empty()))  // answer first, then read on
    return client->watch.set_interest(unsent.empty() ? Interest::readable : Interest::writable);
  client->watch.close();
  clients.erase(client);
}

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that has gone is an event, and no end of the server
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (argc != 2 || std::strlen(argv[1]) >= sizeof address.sun_path) {
    std::fputs("usage: unix_server <path>\n", stderr);
    return 2;
  }
  std::strcpy(address.sun_path, argv[1]);
  const int listener = non_blocking(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 128) != 0) {
    std::perror(argv[1]);
    return 1;
  }

  pollux::Reactor reactor;
  Clients clients;
  const pollux::Watch accepting =
      reactor.watch(listener, Interest::readable, [&](pollux::Readiness) {
        const int fd = non_blocking(::accept(listener, nullptr, nullptr));
        if (fd < 0) return;  // gone again; echo_server.cpp has what to do without descriptors
        const auto client = clients.insert(clients.end(), Client{fd});
        client->watch = reactor.watch_stream(
            fd, Interest::readable,
            [&clients, client](const auto& event) { serve(clients, client, event); });
      });
  const pollux::SignalWatch terminate = reactor.on_signal(SIGTERM, [&](int) { reactor.stop(); });
  std::puts("ready");
  std::fflush(stdout);
  reactor.run();
  ::unlink(argv[1]);
}
