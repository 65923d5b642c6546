// SPDX-License-Identifier: MIT
// What the states of a TCP connection say of the peer's FIN, by each system's numbers, in the order
// of its header: those of systems that are not at hand as well.
#include <vector>

#include <gtest/gtest.h>

#include "os/tcp_states.hpp"

namespace pollux::detail::os {
namespace {

constexpr PeerFin no = PeerFin::not_received;
constexpr PeerFin yes = PeerFin::received;
constexpr PeerFin gone = PeerFin::closed;

std::vector<PeerFin> told_by(const TcpStates& numbers, std::uint8_t first, std::uint8_t last) {
  std::vector<PeerFin> all;
  for (std::uint8_t state = first; state <= last; ++state) all.push_back(peer_fin(numbers, state));
  return all;
}

TEST(TcpStates, OfLinuxSayWhetherTheFinHasCome) {
  // established, syn_sent, syn_recv, fin_wait1, fin_wait2, time_wait, close, close_wait, last_ack,
  // listen, closing, new_syn_recv
  EXPECT_EQ(told_by(linux_tcp_states, 1, 12),
            (std::vector{no, no, no, no, no, yes, gone, yes, yes, no, yes, no}));
}

TEST(TcpStates, OfTheBsdsSayWhetherTheFinHasCome) {
  // closed, listen, syn_sent, syn_received, established, close_wait, fin_wait_1, closing, last_ack,
  // fin_wait_2, time_wait
  EXPECT_EQ(told_by(bsd_tcp_states, 0, 10),
            (std::vector{gone, no, no, no, no, yes, no, yes, yes, no, yes}));
}

}  // namespace
}  // namespace pollux::detail::os
