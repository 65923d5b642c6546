// SPDX-License-Identifier: MIT
// What no list of tests can be: every history of operations up to a length (run()'s --depth), and
// random ones beyond it, told as a model of the contract predicts it (conformance/engine).
#include <vector>

#include "conformance/engine/connections.hpp"
#include "conformance/engine/explorer.hpp"
#include "conformance/kit/kit.hpp"

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
    for (const Kind kind : differential::kinds_of_this_system()) all.push_back({&contestant, kind});
  }
  return all;
}

class EveryHistory : public testing::TestWithParam<Histories> {};

TEST_P(EveryHistory, IsDeliveredAsTheContractHasIt) {
  // MPTCP's worker keeps no test's pace on a loaded machine; `pollux verify` plays it.
  if (GetParam().kind == differential::Kind::mptcp)
    return RecordProperty("not_played", "left to pollux verify");
  const std::string why = differential::why_unavailable(GetParam().kind);
  if (!why.empty()) return RecordProperty("not_played", why);
  differential::Plan plan;
  plan.kinds = {GetParam().kind};
  // Of what is much like another kind, the random ones say more.
  const bool is_another = differential::shape(GetParam().kind).shorter > 0;
  plan.depth = is_another && history_depth > 0 ? history_depth - 1 : history_depth;
  plan.depth_of_all = is_another ? 1 : 2;
  plan.random_histories = 400;
  const auto report = differential::explore(plan, {GetParam().contestant, 1});
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_GT(report.random_histories, plan.random_histories / 2);
}

INSTANTIATE_TEST_SUITE_P(, EveryHistory, testing::ValuesIn(all_histories()),
                         testing::PrintToStringParamName{});

}  // namespace
}  // namespace pollux::conformance
