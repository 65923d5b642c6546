// SPDX-License-Identifier: MIT
// The emulation where the kernel speaks otherwise: every history is reported the same when poll()
// answers as other systems do.
#include <string>

#include <gtest/gtest.h>

#include "conformance/engine/explorer.hpp"
#include "differential/foreign_poll.hpp"

namespace pollux::differential {
namespace {

class AForeignKernel : public testing::TestWithParam<Contestant> {};

TEST_P(AForeignKernel, ChangesNothingInWhatIsDelivered) {
  const Contestant contestants[] = {GetParam()};
  Plan plan;
  // What is not much like another kind, or of a system of its own; and of the operations, what
  // counts bytes as Linux alone does.
  plan.kinds = {Kind::tcp4,          Kind::tcp6,         Kind::unix_stream, Kind::pipe_reader,
                Kind::pipe_writer,   Kind::connecting,   Kind::refused,     Kind::tcp4_both,
                Kind::streamed_tcp4, Kind::streamed_unix};
  plan.left_out = {Op::peer_urgent, Op::read_urgent, Op::peek, Op::low_water};
  // poll() forgets between its calls: where they are made matters less than what they see.
  plan.marked_exhaustively = false;
  plan.depth = POLLUX_TEST_DEPTH;
  plan.random_histories = 1000;
  const Report report = explore(plan, contestants);
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_GT(report.histories(), POLLUX_TEST_DEPTH >= 4 ? 60'000u : 10'000u);
  // A retry excuses a machine that was late; what only some wake-ups spoil would show here.
  EXPECT_LE(report.not_steady(), report.histories() / 10'000);
}

INSTANTIATE_TEST_SUITE_P(, AForeignKernel, testing::ValuesIn(foreign_contestants()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace pollux::differential
