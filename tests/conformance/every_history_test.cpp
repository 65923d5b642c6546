// SPDX-License-Identifier: MIT
// What no list of tests can be: every history of operations up to a length (run()'s --depth), and
// random ones beyond it, told as a model of the contract predicts it (tests/differential).
#include <vector>

#include "conformance/kit.hpp"
#include "differential/explorer.hpp"

namespace pollux::conformance {
namespace {

using differential::Kind;

struct Histories {
  const Contestant* contestant;
  Kind kind;
};

void PrintTo(const Histories& histories, std::ostream* to) {
  *to << histories.contestant->name << '_' << to_string(histories.kind);
}

std::vector<Histories> all_histories() {
  std::vector<Histories> all;
  for (const Contestant& contestant : contestants()) {
    for (const Kind kind : differential::all_kinds()) all.push_back({&contestant, kind});
  }
  return all;
}

class EveryHistory : public testing::TestWithParam<Histories> {};

TEST_P(EveryHistory, IsToldAsTheContractHasIt) {
  differential::Plan plan;
  plan.kinds = {GetParam().kind};
  plan.depth = history_depth;
  plan.random_histories = 1500;
  const auto report = differential::explore(plan, {GetParam().contestant, 1});
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_GT(report.histories(), 2 * plan.random_histories);
}

INSTANTIATE_TEST_SUITE_P(, EveryHistory, testing::ValuesIn(all_histories()),
                         testing::PrintToStringParamName{});

}  // namespace
}  // namespace pollux::conformance
