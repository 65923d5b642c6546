// SPDX-License-Identifier: MIT
// One end of a connection as an Asio socket, on an io_context of its own, and what its waits came
// to.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>

#include <asio/buffer.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>

#include <pollux/asio_lifecycle.hpp>

#include "conformance/support/limits.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::support {

using Socket = ::asio::generic::stream_protocol::socket;

/// The result of a wait, or that there is none yet.
using Result = std::optional<std::error_code>;
inline const Result success{std::error_code{}};

struct WaitingSocket {
  explicit WaitingSocket(PairKind of_kind, Protocol of_protocol = Protocol::usual) : kind{of_kind} {
    Pair pair = make_pair(kind, of_protocol);
    socket.assign(protocol(), pair.local.release());
    peer = std::move(pair.peer);
  }

  ::asio::generic::stream_protocol protocol() const {
    if (kind == PairKind::unix_stream) return {AF_UNIX, 0};
    return {kind == PairKind::tcp4 ? AF_INET : AF_INET6, IPPROTO_TCP};
  }
  /// A handler that writes down what it is called with.
  static auto into(Result& result) {
    return [&result](const std::error_code& error) {
      EXPECT_FALSE(result) << "called twice";
      result = error;
    };
  }
  /// Runs the context until that is true, for five seconds at most.
  template <class Condition>
  bool run_until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    context.restart();
    while (!condition() && context.run_one_until(limit) != 0) {
    }
    return condition();
  }
  /// Runs the context until `result` is there.
  Result until(const Result& result) {
    run_until([&] { return result.has_value(); });
    return result;
  }
  /// Runs the context for a while; how many of its handlers had something to do.
  std::size_t settle(std::chrono::milliseconds duration = std::chrono::milliseconds{20}) {
    context.restart();
    return context.run_for(duration);
  }
  /// Reads what is there; `last` is why not more.
  std::string read_all(std::error_code& last) {
    socket.non_blocking(true);
    std::string all(65536, '\0');
    std::size_t size = 0;
    last.clear();
    while (!last)
      size += socket.read_some(::asio::buffer(all.data() + size, all.size() - size), last);
    all.resize(size);
    return all;
  }
  /// The peer breaks the connection. On AF_UNIX that is a close with bytes unread.
  void reset_by_peer() {
    if (is_tcp(kind)) {
      reset_connection(peer);
    } else {
      socket.write_some(::asio::buffer("?", 1));
      peer.close();
    }
  }

  PairKind kind;
  ::asio::io_context context;
  Socket socket{context};
  Handle peer;
};

}  // namespace pollux::support
