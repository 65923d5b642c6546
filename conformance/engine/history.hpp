// SPDX-License-Identifier: MIT
// A history: a sequence of operations on a fresh connection, one side of which is watched, or
// several.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pollux::differential {

/// What the watched descriptor is.
enum class Kind : std::uint8_t {
  tcp4,         ///< accepted over IPv4 loopback
  tcp6,         ///< accepted over IPv6 loopback
  unix_stream,  ///< one of a socket pair
  pipe_reader,
  pipe_writer,
  connecting,  ///< a TCP socket watched before its connection is accepted
  refused,     ///< a TCP socket that connects to a port where nobody listens
  mptcp,       ///< accepted over IPv4 loopback, with MPTCP at both ends
  fifo,        ///< a FIFO opened for both reading and writing, there as here
  terminal,    ///< the slave of a pseudo-terminal, raw
  master,      ///< its master
  seqpacket,   ///< one of a pair, AF_UNIX; a readiness watch
  udp,         ///< connected; a readiness watch
  listener,    ///< over IPv4 loopback; a readiness watch
  // Two watches.
  tcp4_both,   ///< both ends of one connection
  unix_both,   ///< likewise
  tcp4_relay,  ///< one end each of two connections; bytes go from one to the other
  tcp4_twice,  ///< a socket and its duplicate, in a reactor each
  unix_twice,  ///< likewise
  // A pollux::Stream, which owns the descriptor.
  streamed_tcp4,  ///< on what is of the kind tcp4, and so on
  streamed_unix,
  streamed_pipe_reader,
  streamed_pipe_writer,
};

enum class Family : std::uint8_t {
  tcp,
  mptcp,
  unix_stream,
  pipe,
  fifo,
  terminal,
  seqpacket,
  udp,
  listener
};

/// Who is there. A seat is a descriptor at an end of a line, watched or not.
struct Seat {
  std::uint8_t line;
  std::uint8_t end;
  std::uint8_t opposite;  ///< the seat that `peer_*` means
  std::uint8_t reactor;
};

struct Shape {
  Family family;
  /// So many operations less are played exhaustively: there is another kind that is much the same,
  /// or it takes long.
  std::uint8_t shorter;
  bool readiness;        ///< a readiness watch, else a stream watch
  std::uint8_t watched;  ///< how many of the seats are, from the first
  std::span<const Seat> seats;
  std::optional<Kind> streamed = {};  ///< of a pollux::Stream: of which kind its descriptor is
};

const Shape& shape(Kind kind) noexcept;
/// Of which kind the descriptor is: that kind itself, if it is no stream's.
inline Kind descriptor_kind(Kind kind) noexcept {
  return shape(kind).streamed.value_or(kind);
}

/// One step. `peer_*` happen at the other side, the rest at the watched one or to its watch. Those
/// that a pollux::Stream has as well are its own: `read` is read() outside of a handler.
enum class Op : std::uint8_t {
  peer_write,
  peer_shutdown_write,
  peer_close,
  peer_reset,
  write,
  read,
  shutdown_read,
  shutdown_write,
  pause,
  resume,
  ask_writable,
  // Those above, and those that few kinds have, are the core: of them longer histories are played
  // exhaustively.
  stop_writable,
  ask_peer_closed,
  read_one,
  peer_read,
  peer_shutdown_read,
  duplicate,
  close_duplicate,
  rewatch,
  unwatch,         ///< of a stream: it is destroyed
  close,           ///< unwatches and closes; then what the peer sees is looked at
  reset,           ///< the same with SO_LINGER zero; of a stream, abort()
  read_elsewhere,  ///< one byte, through a duplicate that lives no longer
  peer_urgent,     ///< one byte, MSG_OOB
  read_urgent,
  peek,       ///< the byte behind the last one that was peeked at: SO_PEEK_OFF, from the start
  low_water,  ///< SO_RCVLOWAT: three bytes
  // Those of few kinds.
  packet_mode,   ///< of a terminal's master: reads tell of the slave's terminal as well
  peer_discard,  ///< the slave throws away what it has not read
  swap,          ///< of two watches, what follows is about the other one
  relay,         ///< reads here, and writes what was read to the other connection
  keep,          ///< on_data() keeps one byte from now on, or no longer
  abort_when_sent,
  /// Not an operation: here the loop runs. In histories of the pace `marked` alone.
  turn,
};

inline constexpr std::size_t core_op_count = 11;
inline constexpr std::size_t op_count = 33;  ///< without `turn`

/// When the loop runs.
enum class Pace : std::uint8_t {
  each,    ///< after registration and after every operation
  at_end,  ///< only when all has happened
  marked,  ///< where the history says so, and when all has happened
};

struct History {
  Kind kind = Kind::tcp4;
  Pace pace = Pace::each;
  std::vector<Op> ops;

  friend bool operator==(const History&, const History&) = default;
};

std::span<const Kind> all_kinds() noexcept;
std::span<const Pace> all_paces() noexcept;
std::string_view to_string(Kind kind) noexcept;
std::string_view to_string(Op op) noexcept;
std::string_view to_string(Pace pace) noexcept;
std::optional<Kind> kind_from(std::string_view name) noexcept;

bool is_core(Kind kind, Op op) noexcept;

/// Whether it happens at the other side.
bool is_of_the_peer(Op op) noexcept;

/// Whether an operation means something for a kind; histories hold only those that do.
bool applies(Kind kind, Op op) noexcept;

/// Leaves out what does not go with what comes before it, since its outcome is the kernel's alone:
/// how urgent bytes count where an offset or a low-water mark counts bytes; when an MPTCP peer that
/// reads no more answers; when an own FIN is acknowledged.
void keep_what_goes_together(History& history);

/// "tcp4 each: peer_write shutdown_read", "tcp4 marked: | peer_write read | pause"; parse() reads
/// it back.
std::string to_string(const History& history);
std::optional<History> parse(std::string_view text);

}  // namespace pollux::differential
