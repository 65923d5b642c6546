// SPDX-License-Identifier: MIT
// The scenarios that `pollux trace` shows (conformance/scenarios), S1 to S24, as rows of one test:
// each is played on every backend under test and kind of stream it has, and must come out as its
// own script says and as it does on the best of them. They cite the texts; the contract's rules are
// in the rule*_test.cpp.
#include <string>
#include <vector>

#include "conformance/kit/kit.hpp"
#include "conformance/scenarios/scenarios.hpp"

namespace pollux::conformance {
namespace {

using scenarios::Scenario;
using scenarios::Transcript;

struct Played {
  const Contestant* contestant;
  const Scenario* scenario;
  PairKind kind;
};

void PrintTo(const Played& played, std::ostream* to) {
  *to << played.contestant->name << '_' << to_string(played.kind) << '_' << played.scenario->id;
}

std::vector<Played> all_played() {
  std::vector<Played> all;
  for (const Scenario& scenario : scenarios::all()) {
    for (const Contestant& contestant : contestants()) {
      for (const PairKind kind : scenarios::playable_kinds(scenario))
        all.push_back({&contestant, &scenario, kind});
    }
  }
  return all;
}

class Scenarios : public testing::TestWithParam<Played> {};

TEST_P(Scenarios, ComeOutAsTheirScriptSaysAndAsOnTheBestBackend) {
  const auto& [contestant, scenario, kind] = GetParam();
  std::vector<Transcript> transcripts;
  transcripts.push_back(scenarios::play(*scenario, *contestant, kind));
  const Contestant& best = contestants().front();
  // What takes seconds is played once: it has its script to come out as.
  if (&best != contestant && !scenario->slow)
    transcripts.push_back(scenarios::play(*scenario, best, kind));
  const scenarios::Verdict verdict = scenarios::judge(*scenario, transcripts);
  EXPECT_TRUE(verdict.same) << scenario->title;
  EXPECT_TRUE(verdict.expected) << scenario->title;
  for (const std::string& difference : verdict.differences) ADD_FAILURE() << difference;
}

INSTANTIATE_TEST_SUITE_P(, Scenarios, testing::ValuesIn(all_played()),
                         testing::PrintToStringParamName{});

}  // namespace
}  // namespace pollux::conformance
