// SPDX-License-Identifier: MIT
// Two streams joined for good.
#pragma once

#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include <pollux/export.hpp>
#include <pollux/handler.hpp>
#include <pollux/stream.hpp>

namespace pollux {

namespace detail {

class RelayCore;

}  // namespace detail

/// One of the two streams of a relay.
enum class RelaySide : std::uint8_t { first, second };

/// How many bytes a relay has taken from each of its streams, and given to the other.
struct RelayStats {
  std::uint64_t from_first = 0;   ///< from the first to the second
  std::uint64_t from_second = 0;  ///< from the second to the first

  friend bool operator==(const RelayStats&, const RelayStats&) = default;
};

/// How a relay has ended.
struct RelayEnd {
  /// All that it has taken.
  RelayStats stats;
  /// Why it was cut off; none, if both directions came to their end.
  std::error_code error;
  /// Whose error that is: the first there was.
  RelaySide failed = RelaySide::first;
};

/// Gives each of two streams what the other delivers, until both have ended. Each end sees what it
/// would see of the other without the relay:
/// - The end of what one sends is the end of what the other gets, after the last byte. The other
///   direction goes on alone, for as long as it likes.
/// - A reset, or another failure, of one is a reset of the other (on TCP; AF_UNIX has none of its
///   own: there it is the end). The bytes before it come first: Stream::abort_when_sent().
/// - Who does not read has the other not sent on: no more waits for a stream than one read and its
///   StreamOptions::write_high_water.
///
/// On Linux bulk data between non-blocking sockets goes through a pipe, inside the kernel
/// (splice(2)). Of these pipes, two descriptors each, a reactor has 64 at most in use and keeps two
/// for the next; where none can be had, bytes are read and written.
///
/// Its deadlines are those of the streams: one that has run into one has failed with `timed_out`.
///
/// It owns the streams, whose handlers it replaces. It may be moved. All members: loop thread, and
/// harmless when the reactor is gone.
class POLLUX_EXPORT Relay {
 public:
  /// Joins nothing.
  Relay() noexcept = default;
  /// Joins two streams of one reactor. What a stream has kept, and what it has to send, comes
  /// first. Refused, and both are closed: Errc::stream_closed for a stream that is not open,
  /// `not_enough_memory`.
  Relay(Stream first, Stream second);
  Relay(Stream first, Stream second, std::error_code& error) noexcept;
  Relay(Relay&& other) noexcept = default;
  Relay& operator=(Relay&& other) noexcept;
  /// As close().
  ~Relay();

  /// What it calls once, when both streams have ended, or one was cut off and the other knows. Not
  /// after close() and abort(). It may do anything, as all handlers may: also destroy the relay.
  void on_end(Handler<RelayEnd> handler) noexcept;

  /// What it has taken so far, also after its end.
  RelayStats stats() const noexcept;
  /// The descriptor of a stream, for getsockopt() and setsockopt(); no_handle when it has ended.
  NativeHandle native_handle(RelaySide side) const noexcept;

  /// Takes no more from either, and ends both as Stream::close() does.
  void close() noexcept;
  /// Cuts both off: Stream::abort().
  void abort() noexcept;
  /// It belongs to itself from now on, and lives until its streams have ended. This object is empty
  /// then.
  void detach() noexcept;

  /// Whether it has not ended.
  explicit operator bool() const noexcept;

 private:
  std::shared_ptr<detail::RelayCore> core_;
};

/// A relay that belongs to itself.
inline void relay(Stream first, Stream second) {
  Relay{std::move(first), std::move(second)}.detach();
}

}  // namespace pollux
