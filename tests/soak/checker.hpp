// SPDX-License-Identifier: MIT
// The contract, as far as one event can be judged by what was done to the connection before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>

namespace pollux::soak {

enum class Kind : std::uint8_t { tcp, unix_stream, pipe_in, pipe_out };
inline constexpr std::size_t kinds = 4;

std::string_view to_string(Kind kind) noexcept;

/// What was done to a connection, and reported of it.
struct Facts {
  Kind kind{};
  NativeHandle handle{};
  std::uint64_t turn = 0;  ///< of the loop, now

  // What was done.
  bool watched = false;
  Interest interest = Interest::none;
  std::uint64_t reading_since = 0;  ///< the turn in which it was asked for, or never
  std::uint64_t asked_peer_closed_since = 0;
  std::uint64_t taken_in_turn = 0;  ///< the last turn in which bytes were read by another's handler
  std::uint64_t written_in_turn = 0;  ///< likewise
  bool own_shut_rd = false;
  bool own_shut_wr = false;
  bool peer_shut_wr = false;
  bool peer_closed = false;
  bool peer_reset = false;
  bool peer_left_bytes = false;  ///< closed, with bytes of ours unread or written since
  bool error_taken = false;      ///< the owner's own call has had the failure
  bool may_be_held = false;      ///< and so nothing is due, also if the bytes have been read since
  std::uint64_t peer_wrote = 0;
  std::uint64_t was_read = 0;
  std::uint64_t wrote = 0;
  std::uint64_t peer_read = 0;

  // What this watch has reported.
  Event reported = Event::none;

  bool is_socket() const noexcept { return kind == Kind::tcp || kind == Kind::unix_stream; }
  bool is_reading() const noexcept { return any(interest, Interest::readable); }
  bool is_over() const noexcept { return any(reported, Event::hangup); }
  bool has_ended() const noexcept { return any(reported, Event::end_of_stream | Event::hangup); }
  /// The peer's FIN is under way or here, or cannot be told from an own SHUT_RD.
  bool has_fin() const noexcept;
  bool inbound_is_over() const noexcept;
  bool outbound_is_over() const noexcept;
  bool may_fail() const noexcept;
  std::size_t unread() const;
  /// It is outside the kernel's set until reading goes on (rule 4).
  bool is_held() const {
    return !is_reading() && inbound_is_over() && outbound_is_over() && unread() != 0;
  }
};

inline constexpr std::uint64_t never = ~std::uint64_t{0};

/// What is wrong with `event`, or nothing.
std::string_view breach(const Facts& facts, const StreamEvent& event);

}  // namespace pollux::soak
