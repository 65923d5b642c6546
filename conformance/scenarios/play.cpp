// SPDX-License-Identifier: MIT
#include "conformance/scenarios/scenarios.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "conformance/scenarios/stage.hpp"
#include "conformance/support/system.hpp"

namespace pollux::scenarios {

std::vector<PairKind> playable_kinds(const Scenario& scenario) {
  std::vector<PairKind> playable;
  if (scenario.dead_peer && !support::can_play_dead()) return playable;
  if (scenario.shutdown_elsewhere && !support::system_facts().own_shutdown_is_reported)
    return playable;
  std::ranges::copy_if(scenario.kinds, std::back_inserter(playable), support::is_available);
  return playable;
}

std::string why_unavailable(const Scenario& scenario) {
  if (!playable_kinds(scenario).empty()) return {};
  return std::string{scenario.id} + " cannot be played here: this system has no " +
         (scenario.dead_peer            ? "way to lose a peer's packets"
          : scenario.shutdown_elsewhere ? "report of a shutdown by hand"
                                        : "such streams");
}

Transcript play(const Scenario& scenario, const support::Contestant& contestant, PairKind kind) {
  Stage stage{contestant, kind};
  Transcript transcript{contestant.name, stage.reports(), kind, {}};
  for (const Step& step : scenario.script(kind)) {
    std::string result = step.run(stage);
    transcript.steps.push_back({step.action, std::move(result), stage.settle(step.delivers)});
  }
  return transcript;
}

std::string flags(RawReady ready) {
  constexpr std::pair<RawReady, const char*> names[] = {{RawReady::in, "IN"},
                                                        {RawReady::out, "OUT"},
                                                        {RawReady::rdhup, "RDHUP"},
                                                        {RawReady::hup, "HUP"},
                                                        {RawReady::err, "ERR"}};
  std::string text;
  for (const auto& [bit, name] : names) {
    if (any(ready, bit)) text.append(text.empty() ? "" : "+").append(name);
  }
  return text;
}

}  // namespace pollux::scenarios
