// SPDX-License-Identifier: MIT
// A history: a sequence of operations on a fresh pair, one side of which is watched.
#pragma once

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
};

/// One step. `peer_*` happen at the other side, the rest at the watched one or to its watch.
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
  // The operations above make the exhaustive search; those below join in random histories.
  stop_writable,
  ask_peer_closed,
  read_one,
  peer_read,
  peer_shutdown_read,
  duplicate,
  close_duplicate,
  rewatch,
  /// Not an operation: here the loop runs. In histories of the pace `marked` alone.
  turn,
};

inline constexpr std::size_t core_op_count = 11;
inline constexpr std::size_t op_count = 19;  ///< without `turn`

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

/// Whether an operation means something for a kind; histories hold only those that do.
bool applies(Kind kind, Op op) noexcept;

/// "tcp4 each: peer_write shutdown_read", "tcp4 marked: | peer_write read | pause"; parse() reads
/// it back.
std::string to_string(const History& history);
std::optional<History> parse(std::string_view text);

}  // namespace pollux::differential
