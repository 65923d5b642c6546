// SPDX-License-Identifier: MIT
// A server that works on a request for a second, and stops working when the client goes:
// peer_closed comes while nobody reads, and behind unread bytes. (A client of this protocol keeps
// its side open until it has the answer.) Usage: cancel_on_peer_closed [<ms of work>]. Prints the
// port.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <list>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

using pollux::Interest;

class Server {
 public:
  Server(pollux::Reactor& reactor, int listener, std::chrono::milliseconds work)
      : reactor_{reactor},
        listener_{listener},
        work_{work},
        accepting_{reactor.watch(listener, Interest::readable, [this](auto) { accept(); })} {}

 private:
  struct Client {
    int fd;
    pollux::StreamWatch watch = {};
    pollux::Timer work = {};  // in the place of a query to a database
  };
  using Clients = std::list<Client>;

  void accept() {
    const int fd = non_blocking(::accept(listener_, nullptr, nullptr));
    if (fd < 0) return;  // gone again; echo_server.cpp has what to do without descriptors
    const auto client = clients_.insert(clients_.end(), Client{fd});
    client->watch = reactor_.watch_stream(
        fd, Interest::readable, [this, client](const auto& event) { serve(client, event); });
  }

  void serve(Clients::iterator client, const pollux::StreamEvent& event) {
    if (event.peer_closed() || event.end_of_stream() || event.hangup()) {
      std::puts(client->work.armed() ? "cancelled" : "gone");
      return end(client);
    }
    char request[1024];
    if (!event.readable() || ::recv(client->fd, request, sizeof request, 0) <= 0) return;
    client->watch.set_interest(Interest::peer_closed);  // no more requests until this one is done
    client->work = reactor_.after(work_, [this, client] {
      std::puts("done");
      ::send(client->fd, "done\n", 5, 0);
      end(client);
    });
  }

  void end(Clients::iterator client) {
    std::fflush(stdout);
    client->watch.close();
    clients_.erase(client);  // and with it the work
  }

  pollux::Reactor& reactor_;
  int listener_;
  std::chrono::milliseconds work_;
  Clients clients_;
  pollux::Watch accepting_;
};

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that has gone is an event, and no end of the server
  const int listener = non_blocking(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, size) != 0 || ::listen(listener, 128) != 0 ||
      ::getsockname(listener, generic, &size) != 0) {
    std::perror("cancel_on_peer_closed");
    return 1;
  }
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  pollux::Reactor reactor;
  const Server server{reactor, listener,
                      std::chrono::milliseconds{argc > 1 ? std::atoi(argv[1]) : 1000}};
  reactor.run();
}
