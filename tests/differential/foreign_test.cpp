// SPDX-License-Identifier: MIT
// The emulation where the kernel speaks otherwise: every history is told the same when poll()
// answers as other systems do.
#include <string>

#include <gtest/gtest.h>

#include "differential/explorer.hpp"
#include "differential/foreign_poll.hpp"

namespace pollux::differential {
namespace {

class AForeignKernel : public testing::TestWithParam<Contestant> {};

TEST_P(AForeignKernel, ChangesNothingInWhatIsTold) {
  const Contestant contestants[] = {GetParam()};
  Plan plan;
  plan.depth = POLLUX_TEST_DEPTH;
  plan.random_histories = 1500;
  const Report report = explore(plan, contestants);
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_GT(report.histories(), POLLUX_TEST_DEPTH >= 4 ? 100'000u : 10'000u);
  // A retry excuses a machine that was late; what only some wake-ups spoil would show here.
  EXPECT_LE(report.not_steady(), report.histories() / 10'000);
}

INSTANTIATE_TEST_SUITE_P(, AForeignKernel, testing::ValuesIn(foreign_contestants()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace pollux::differential
