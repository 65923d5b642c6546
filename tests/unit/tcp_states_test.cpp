// SPDX-License-Identifier: MIT
// What the states of a TCP connection say of the peer's FIN, by each system's numbers, in the order
// of its header: those of systems that are not at hand as well.
#include <vector>

#include <gtest/gtest.h>

#include "platform/tcp_states.hpp"

namespace pollux::detail::platform {
namespace {

constexpr PeerFin no = PeerFin::not_received;
constexpr PeerFin yes = PeerFin::received;
constexpr PeerFin gone = PeerFin::closed;

constexpr Standing good = Standing::good;
constexpr Standing doubtful = Standing::doubtful;

struct Judged {
  std::vector<PeerFin> fins;
  std::vector<Standing> standings;
};

Judged judged_by(const TcpStates& numbers, std::uint8_t first, std::uint8_t last) {
  Judged judged;
  for (std::uint8_t state = first; state <= last; ++state) {
    judged.fins.push_back(peer_fin(numbers, state));
    judged.standings.push_back(standing(numbers, state));
  }
  return judged;
}

TEST(TcpStates, OfLinuxSayWhetherTheFinHasComeAndTheConnectionStands) {
  // established, syn_sent, syn_recv, fin_wait1, fin_wait2, time_wait, close, close_wait, last_ack,
  // listen, closing
  const Judged judged = judged_by(linux_tcp_states, 1, 11);
  EXPECT_EQ(judged.fins, (std::vector{no, no, no, no, no, yes, gone, yes, yes, no, yes}));
  EXPECT_EQ(judged.standings, (std::vector{good, doubtful, doubtful, good, good, good, doubtful,
                                           good, good, doubtful, good}));
}

TEST(TcpStates, OfTheBsdsSayWhetherTheFinHasComeAndTheConnectionStands) {
  // closed, listen, syn_sent, syn_received, established, close_wait, fin_wait_1, closing, last_ack,
  // fin_wait_2, time_wait
  const Judged judged = judged_by(bsd_tcp_states, 0, 10);
  EXPECT_EQ(judged.fins, (std::vector{gone, no, no, no, no, yes, no, yes, yes, no, yes}));
  EXPECT_EQ(judged.standings, (std::vector{doubtful, doubtful, doubtful, doubtful, good, good, good,
                                           good, good, good, good}));
}

}  // namespace
}  // namespace pollux::detail::platform
