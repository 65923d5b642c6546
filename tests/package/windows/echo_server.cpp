// SPDX-License-Identifier: MIT
// An echo server on Windows. It pauses while its answers cannot be sent, ends its side when the
// client has ended its own, and learns of a reset. In main() two clients find out.
#include <pollux/pollux.hpp>

#include <winsock2.h>

#include <ws2tcpip.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

namespace {

using pollux::Interest;

struct Connection {
  pollux::StreamWatch watch;
  std::string unsent;
  bool has_ended = false;
};

class EchoServer {
 public:
  explicit EchoServer(pollux::Reactor& reactor, SOCKET listener) : reactor_{reactor} {
    listening_ = reactor_.watch(listener, Interest::readable, [this, listener](pollux::Readiness) {
      const SOCKET client = ::accept(listener, nullptr, nullptr);
      if (client == INVALID_SOCKET) return;
      u_long on = 1;
      ::ioctlsocket(client, static_cast<long>(FIONBIO), &on);
      connections_[client].watch =
          reactor_.watch_stream(client, Interest::readable,
                                [this, client](const auto& event) { on_event(client, event); });
    });
  }

  int resets = 0;
  int pauses = 0;
  int ends = 0;

 private:
  void on_event(SOCKET client, const pollux::StreamEvent& event) {
    Connection& connection = connections_[client];
    char buffer[65536];
    const int count = event.readable() ? ::recv(client, buffer, sizeof buffer, 0) : 0;
    if (count > 0) connection.unsent.append(buffer, static_cast<std::size_t>(count));
    if (event.error() == std::errc::connection_reset) ++resets;
    connection.has_ended |= event.end_of_stream();
    if (event.hangup()) {
      ++ends;
      connections_.erase(client);  // ends its watch
      ::closesocket(client);
    } else {
      send(client, connection);
    }
  }

  void send(SOCKET client, Connection& connection) {
    const int sent =
        ::send(client, connection.unsent.data(), static_cast<int>(connection.unsent.size()), 0);
    if (sent > 0) connection.unsent.erase(0, static_cast<std::size_t>(sent));
    const bool is_full = !connection.unsent.empty();
    if (is_full) ++pauses;
    connection.watch.set_interest(is_full ? Interest::writable : Interest::readable);
    // Both sides have ended then: the next turn delivers the hang-up.
    if (!is_full && connection.has_ended) connection.watch.shutdown(pollux::Shutdown::write);
  }

  pollux::Reactor& reactor_;
  pollux::Watch listening_;
  std::map<SOCKET, Connection> connections_;
};

/// Listens on a port of the system's choice, which `address` gets.
SOCKET listen_on_loopback(sockaddr_in& address) {
  const SOCKET listener = ::socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  int size = sizeof address;
  ::bind(listener, reinterpret_cast<const sockaddr*>(&address), size);
  ::listen(listener, 5);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  u_long on = 1;
  ::ioctlsocket(listener, static_cast<long>(FIONBIO), &on);
  return listener;
}

SOCKET connect_to(const sockaddr_in& address) {
  const SOCKET client = ::socket(AF_INET, SOCK_STREAM, 0);
  ::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  u_long on = 1;
  ::ioctlsocket(client, static_cast<long>(FIONBIO), &on);
  return client;
}

}  // namespace

int main() {
  pollux::Reactor reactor;  // starts Winsock
  sockaddr_in address{};
  EchoServer server{reactor, listen_on_loopback(address)};
  const auto turn = [&] { reactor.run_once(std::chrono::milliseconds{20}); };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  const auto in_time = [&] { return std::chrono::steady_clock::now() < deadline; };

  // A client that sends all it has before it reads: the server has to pause. Then it ends its side.
  const SOCKET writer = connect_to(address);
  const std::string all(64 << 20, 'x');
  std::size_t sent = 0;
  while (in_time() && server.pauses == 0 && sent < all.size()) {
    const int count =
        ::send(writer, all.data() + sent,
               static_cast<int>(std::min(all.size() - sent, std::size_t{1} << 16)), 0);
    if (count > 0) sent += static_cast<std::size_t>(count);
    turn();
  }
  ::shutdown(writer, SD_SEND);
  std::size_t received = 0;
  bool has_ended = false;
  while (in_time() && !has_ended) {
    turn();
    static char buffer[65536];
    int count = 0;
    while ((count = ::recv(writer, buffer, sizeof buffer, 0)) > 0)
      received += static_cast<std::size_t>(count);
    has_ended = count == 0;
  }

  // And one that resets.
  const SOCKET resetter = connect_to(address);
  turn();
  const linger at_once{1, 0};
  ::setsockopt(resetter, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&at_once),
               sizeof at_once);
  ::closesocket(resetter);
  while (in_time() && server.resets == 0) turn();

  const bool echoed = has_ended && received == sent;
  return echoed && server.pauses > 0 && server.resets == 1 && server.ends == 2 ? 0 : 1;
}
