// SPDX-License-Identifier: MIT
// The scenarios that `pollux trace` shows (tests/scenarios), S1 to S24, as tests by their ids: each
// is played on every compiled-in backend and kind of stream it has, and must come out as its own
// script says and as it does on the best backend. They cite the texts; the contract's rules are in
// the rule*_test.cpp.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/scenarios.hpp"

namespace pollux::conformance {
namespace {

using scenarios::Scenario;
using scenarios::Transcript;
using support::PairKind;

class PlayedScenario : public testing::Test {
 public:
  PlayedScenario(const Scenario& scenario, const BackendInfo& backend, PairKind kind)
      : scenario_{scenario}, backend_{backend}, kind_{kind} {}

  void TestBody() override {
    std::vector<Transcript> transcripts;
    transcripts.push_back(scenarios::play(scenario_, backend_, kind_));
    const BackendInfo& best = backends().front();
    // What takes seconds is played once: it has its script to come out as.
    if (&best != &backend_ && !scenario_.slow)
      transcripts.push_back(scenarios::play(scenario_, best, kind_));
    const scenarios::Verdict verdict = scenarios::judge(scenario_, transcripts);
    EXPECT_TRUE(verdict.same) << scenario_.title;
    EXPECT_TRUE(verdict.expected) << scenario_.title;
    for (const std::string& difference : verdict.differences) ADD_FAILURE() << difference;
  }

 private:
  const Scenario& scenario_;
  const BackendInfo& backend_;
  PairKind kind_;
};

void register_scenarios() {
  for (const Scenario& scenario : scenarios::all()) {
    for (const BackendInfo& backend : backends()) {
      for (const PairKind kind : scenario.kinds) {
        std::string name{scenario.id};
        name.append("/").append(backend.name).append("_").append(to_string(kind));
        testing::RegisterTest("Scenarios", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [&scenario, &backend, kind]() -> testing::Test* {
                                return new PlayedScenario{scenario, backend, kind};
                              });
      }
    }
  }
}

}  // namespace
}  // namespace pollux::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  pollux::conformance::register_scenarios();
  return RUN_ALL_TESTS();
}
