// SPDX-License-Identifier: MIT
#include "conformance/scenarios/scenarios.hpp"

#include "conformance/scenarios/stage.hpp"

namespace pollux::scenarios {

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
