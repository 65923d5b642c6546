// SPDX-License-Identifier: MIT
// Systems number the states of a TCP connection each in their own way (4.2BSD's is not Linux's).
// What they say of the peer's FIN is decided here, for all of them.
#pragma once

#include <cstdint>

#include "platform/stream_state.hpp"

namespace pollux::detail::platform {

/// A system's numbers for the states that there is something to say about.
struct TcpStates {
  std::uint8_t listening;
  std::uint8_t syn_sent;      ///< connecting
  std::uint8_t syn_received;  ///< likewise, and the peer too
  std::uint8_t close_wait;    ///< the peer has sent its FIN
  std::uint8_t closing;       ///< and so have we, and each waits for the other's answer
  std::uint8_t last_ack;      ///< and we did later, and wait for the answer
  std::uint8_t time_wait;     ///< and all is answered
  std::uint8_t closed;        ///< all that, and time has gone by; or a reset
};

/// <netinet/tcp.h> of Linux.
inline constexpr TcpStates linux_tcp_states{10, 2, 3, 8, 11, 9, 6, 7};
/// <netinet/tcp_fsm.h> of FreeBSD and macOS (and of 4.2BSD).
inline constexpr TcpStates bsd_tcp_states{1, 2, 3, 5, 7, 8, 10, 0};
/// TCPSTATE of <mstcpip.h> of Windows.
inline constexpr TcpStates windows_tcp_states{1, 2, 3, 7, 8, 9, 10, 0};

/// `closed` is left for the caller to look into further.
constexpr PeerFin peer_fin(const TcpStates& numbers, std::uint8_t state) {
  if (state == numbers.closed) return PeerFin::closed;
  const bool received = state == numbers.close_wait || state == numbers.closing ||
                        state == numbers.last_ack || state == numbers.time_wait;
  return received ? PeerFin::received : PeerFin::not_received;
}

/// A connection that has failed is in no state any more; one that is not made yet can only fail.
constexpr Standing standing(const TcpStates& numbers, std::uint8_t state) {
  const bool doubtful = state == numbers.closed || state == numbers.listening ||
                        state == numbers.syn_sent || state == numbers.syn_received;
  return doubtful ? Standing::doubtful : Standing::good;
}

}  // namespace pollux::detail::platform
