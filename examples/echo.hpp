// SPDX-License-Identifier: MIT
// What the programs here serve that run inside other libraries' loops: the echo of echo_server.cpp,
// half-close, back-pressure and pauses included, on any reactor.
#pragma once

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

class Echo {
 public:
  /// Listens on that port of 127.0.0.1 (nullptr: the system chooses), and prints it.
  Echo(pollux::Reactor& reactor, const char* port) : reactor_{reactor}, listener_{listen(port)} {
    std::signal(SIGPIPE, SIG_IGN);  // a client that has gone is an event, and no end of the program
    accepting_ = reactor.watch(listener_, pollux::Interest::readable,
                               [this](pollux::Watch& listening, auto) { accept(listening); });
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  ~Echo() {
    while (!clients_.empty()) close(clients_.begin());
    accepting_.reset();  // unwatch first, close then
    ::close(listener_);
  }

  std::size_t clients() const { return clients_.size(); }

 private:
  struct Client {
    int socket;
    std::string unsent = {};
    bool ended = false;
    pollux::StreamWatch watch = {};
  };
  using Clients = std::list<Client>;

  static int listen(const char* port) {
    const int listener = non_blocking(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port != nullptr ? std::atoi(port) : 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener, generic, size) != 0 || ::listen(listener, 128) != 0 ||
        ::getsockname(listener, generic, &size) != 0)
      throw std::system_error{errno, std::system_category(), "listen"};
    std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return listener;
  }

  void accept(pollux::Watch& listening) {
    const int socket = non_blocking(::accept(listener_, nullptr, nullptr));
    if (socket < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause(listening);
      return;  // or gone again before we came
    }
    const auto client = clients_.insert(clients_.end(), Client{socket});
    std::error_code error;
    client->watch = reactor_.watch_stream(
        socket, pollux::Interest::readable,
        [this, client](pollux::StreamWatch& watch, const pollux::StreamEvent& event) {
          serve(client, watch, event);
        },
        error);
    if (error) close(client);
  }

  /// Out of descriptors or memory: who waits goes on waiting, and the loop must not turn for it.
  void pause(pollux::Watch& listening) {
    listening.set_interest(pollux::Interest::none);
    pause_.restart(std::chrono::milliseconds{100});
  }

  void serve(Clients::iterator client, pollux::StreamWatch& watch,
             const pollux::StreamEvent& event) {
    auto& [socket, unsent, ended, owned] = *client;
    char buffer[4096];
    if (event.readable())
      if (const auto n = ::recv(socket, buffer, sizeof buffer, 0); n > 0)
        unsent.append(buffer, static_cast<std::size_t>(n));
    if (event.end_of_stream()) ended = true;  // and every byte before it has been read
    if (const auto n = ::send(socket, unsent.data(), unsent.size(), 0); n > 0)
      unsent.erase(0, static_cast<std::size_t>(n));
    if (event.hangup() || (ended && unsent.empty())) return close(client);
    // Back-pressure: answer first, then read on.
    watch.set_interest(unsent.empty() ? pollux::Interest::readable : pollux::Interest::writable);
  }

  void close(Clients::iterator client) {
    client->watch.reset();
    ::close(client->socket);
    clients_.erase(client);
  }

  pollux::Reactor& reactor_;
  int listener_;
  pollux::Watch accepting_;
  pollux::Timer pause_ =
      reactor_.timer([this] { accepting_.set_interest(pollux::Interest::readable); });
  Clients clients_;
};
