// SPDX-License-Identifier: MIT
// A pollux::Stream of which a history is played, and what it delivers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>

#include "conformance/engine/history.hpp"
#include "conformance/engine/trace.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::differential {

/// Bytes of which none is like those around it: one that is lost, comes twice or in the wrong place
/// shows.
class Letters {
 public:
  /// The next ones, which pass() goes over.
  std::string next(std::size_t count) const;
  bool are_next(std::string_view bytes) const { return bytes == next(bytes.size()); }
  void pass(std::size_t count) { passed_ += count; }

 private:
  std::size_t passed_ = 0;
};

class PlayedStream {
 public:
  /// Takes `handle`. Throws std::system_error.
  PlayedStream(Reactor& reactor, support::Handle& handle, bool peer_closed);
  PlayedStream(const PlayedStream&) = delete;
  PlayedStream& operator=(const PlayedStream&) = delete;

  /// An operation on it; what its call answers goes to `trace`.
  void apply(Op op, Trace& trace);
  /// What the peer is to write.
  std::string bytes_of_peer();
  /// The peer reads all that it has. False if that is not what was written here.
  bool peer_reads(const support::Handle& peer);
  /// Leaves nothing behind, and calls nobody.
  void end();

  /// What was delivered since the last call goes to `trace`.
  void report(Trace& trace);
  /// Grows with each call of a handler.
  std::size_t calls() const noexcept { return calls_; }

 private:
  void deliver(Stream& stream, Bytes bytes);
  void deliver(const StreamEvent& event);
  void add(Item::What what, int value = 0);
  void write(Trace& trace);
  void read(std::size_t most, Trace& trace);

  Stream stream_;
  Letters written_there_;
  Letters read_here_;
  Letters written_here_;
  Letters read_there_;
  Trace delivered_;
  std::size_t calls_ = 0;
  bool keeps_ = false;
  bool peer_closed_ = false;
  bool drained_ = false;
};

}  // namespace pollux::differential
