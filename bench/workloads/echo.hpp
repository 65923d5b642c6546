// SPDX-License-Identifier: MIT
// W8: an echo server, by what each library has for streams, with clients in another process that
// keep one message under way on each connection. An operation is a message. Timed by the clock on
// the wall; the processor's time is the server's alone.
#pragma once

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../echo_client.hpp"
#include "../suite.hpp"
#include "posts.hpp"

namespace pollux::bench {

/// What an echo server reports. Both answer whether the server is to stop.
class EchoCount {
 public:
  EchoCount(Meter& meter, std::size_t connections, std::size_t size) noexcept
      : meter_{meter}, connections_{connections}, round_bytes_{connections * size} {}

  /// So many bytes have come.
  bool received(std::size_t bytes) {
    if (!counts_) return false;
    for (bytes_ += bytes; bytes_ >= round_bytes_; bytes_ -= round_bytes_) {
      if (warm_up_rounds_ != 0) {
        --warm_up_rounds_;
      } else if (!meter_.more(connections_)) {
        return true;
      }
    }
    return false;
  }
  /// A connection is over, and closed.
  bool ended() noexcept {
    failed_ = counts_;
    return true;
  }

  void begin() noexcept { counts_ = true; }
  bool failed() const noexcept { return failed_; }

 private:
  Meter& meter_;
  // Measured in whole rounds, a message of each connection: there are servers that read from all of
  // them first, and answer then.
  std::size_t connections_;
  std::size_t round_bytes_;
  std::size_t warm_up_rounds_ = 2;
  std::size_t bytes_ = 0;
  bool counts_ = false;
  bool failed_ = false;
};

/// How much a server takes from the kernel at once, where its library leaves that to it.
inline constexpr std::size_t echo_read_bytes = 65'536;
/// What may wait to be sent on a connection, where a library keeps it; with more the server reads
/// no more of it.
inline constexpr std::size_t echo_high_water = 65'536;

/// An echo server: sends back whatever comes, also where a write was short, and closes a connection
/// whose client has ended.
template <class S>
concept EchoServer = requires(S& server, Handle handle) {
  server.serve(std::move(handle));  // connected and non-blocking; the server's from now on
  server.run();                     // until the count says so
};

/// A client that reads too late, so that writes are short: no server is measured that does not
/// answer it as it must.
template <EchoServer S>
void examine_server(S& server) {
  Pair pair = make_narrow_connection();
  ChildProcess client{[&pair] {
    pair.local.close();
    examine(pair.peer.get());
  }};
  pair.peer.close();
  server.serve(std::move(pair.local));
  server.run();
  client.expect_success();
}

template <EchoServer S, class Make>
void echo(Meter& meter, std::size_t connections, std::size_t size, Make make) {
  const Pinned pinned{usable_cores().back()};
  EchoCount count{meter, connections, size};
  S server = make(count);
  examine_server(server);
  std::vector<Handle> handles(connections);
  std::vector<Handle> clients(connections);
  for (std::size_t i = 0; i < connections; ++i) {
    Pair pair = make_connection();
    handles[i] = std::move(pair.local);
    clients[i] = std::move(pair.peer);
  }
  const ChildProcess client{[&] {
    const Pinned other{usable_cores().front()};
    handles.clear();
    keep_busy(clients, size);
  }};
  clients.clear();
  meter.counts(server);
  count.begin();
  for (Handle& handle : handles) server.serve(std::move(handle));
  server.run();
  if (count.failed()) throw std::runtime_error{"a client has ended"};
}

/// `make(count)` makes a server, which need not be movable.
template <EchoServer S, class Make>
void register_echo(Suite& suite, const std::string& name, Make make) {
  constexpr std::size_t kib = 1024;
  for (const auto& [workload, connections, size] :
       {std::tuple{"W8.N1.64B/", std::size_t{1}, std::size_t{64}},
        std::tuple{"W8.N100.64B/", std::size_t{100}, std::size_t{64}},
        std::tuple{"W8.N1000.64B/", std::size_t{1000}, std::size_t{64}},
        std::tuple{"W8.N1.16K/", std::size_t{1}, 16 * kib},
        std::tuple{"W8.N100.16K/", std::size_t{100}, 16 * kib},
        std::tuple{"W8.N1000.16K/", std::size_t{1000}, 16 * kib}}) {
    suite.add_if_fits(
        2 * connections,
        {workload + name, Time::wall, [make, connections = connections, size = size](Meter& meter) {
           echo<S>(meter, connections, size, make);
         }});
  }
}

}  // namespace pollux::bench
