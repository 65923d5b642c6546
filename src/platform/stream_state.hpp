// SPDX-License-Identifier: MIT
// What a stream is, and what a probe of the kernel can answer about it.
#pragma once

#include <cstdint>

namespace pollux::detail {

/// What kind of stream a descriptor is; decides how it is probed.
enum class StreamKind : std::uint8_t { socket, pipe_reader, pipe_writer, terminal };

/// What is unusual about a socket and changes how it is probed; bits.
enum class Quirk : std::uint8_t {
  /// Its owner peeks from an offset on, which a peek must neither heed nor move.
  peek_offset = 1,
  /// One connection made of several: the state that the system shows is one of theirs.
  multipath = 2,
  /// Of a multipath socket: it is connecting still, and System::learn_fin_number() could not ask
  /// it.
  unasked = 4,
  /// There was no end yet when it was asked, and so it is known whether the number is odd.
  numbered = 8,
  odd = 16,
  /// An urgent byte, which is none of the stream, makes it readable to the kernel (AF_UNIX).
  urgent = 32,
  /// It was never connected, or its owner has ended a side of it, and this kernel will report
  /// nothing of that: it is rechecked when it is registered, and when its interest changes.
  silent = 64,
};

/// What a descriptor is, as far as that changes how it is probed.
struct StreamType {
  StreamKind kind = StreamKind::socket;
  std::uint8_t quirks = 0;

  constexpr bool has(Quirk quirk) const { return (quirks & static_cast<unsigned>(quirk)) != 0; }
  constexpr void set(Quirk quirk, bool on = true) {
    const auto bit = static_cast<unsigned>(quirk);
    quirks = static_cast<std::uint8_t>(on ? quirks | bit : quirks & ~bit);
  }
};

enum class Inbound : std::uint8_t { unknown, bytes, empty, end, failed };
/// `over`: a write fails; `both`: and the inbound side is known to be over too. `full`: there is no
/// room.
enum class Outbound : std::uint8_t { unknown, open, full, over, both, failed };
/// `closed`: the connection is gone from the protocol's tables, and a reset cannot be ruled out.
/// `untellable`: this stream's protocol has no such state (AF_UNIX), or the system does not show
/// it.
enum class PeerFin : std::uint8_t { unknown, not_received, received, closed, untellable };

/// `good`: it goes on, and what is pending is its owner's to know: a notice in the error queue, or
/// what a router has said of one packet (IP_RECVERR). `doubtful`: it may have failed, or nobody
/// can say.
enum class Standing : std::uint8_t { unknown, good, doubtful };

}  // namespace pollux::detail
