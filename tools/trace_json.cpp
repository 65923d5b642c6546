// SPDX-License-Identifier: MIT
// The trace for a program: everything, on every kind.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <pollux/version.hpp>

#include "trace_report.hpp"

namespace pollux::tools {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const scenarios::StepRecord& step) {
  Json watches = Json::array();
  for (const scenarios::WatchRecord& watch : step.watches) {
    Json seen = Json::array();
    for (const RawReady ready : watch.seen) seen.push_back(scenarios::flags(ready));
    watches.push_back({{"watch", watch.watch}, {"saw", seen}, {"told", watch.delivered}});
  }
  return {{"action", step.action}, {"result", step.result}, {"watches", watches}};
}

Json to_json(const scenarios::Transcript& transcript) {
  Json steps = Json::array();
  for (const scenarios::StepRecord& step : transcript.steps) steps.push_back(to_json(step));
  return {{"backend", transcript.backend}, {"kind", to_string(transcript.kind)}, {"steps", steps}};
}

class JsonReport final : public TraceReport {
 public:
  void begin(const Cast& cast) override {
    Json backends = Json::array();
    for (const BackendInfo* backend : cast.backends) backends.push_back(backend->name);
    all_ = {{"version", POLLUX_VERSION_STRING}, {"backends", backends}, {"absent", cast.absent}};
    all_["scenarios"] = Json::array();
  }

  void add(const Played& played) override {
    Json stories = Json::array();
    for (const scenarios::Transcript& transcript : played.transcripts)
      stories.push_back(to_json(transcript));
    all_["scenarios"].push_back({{"id", played.scenario->id},
                                 {"title", played.scenario->title},
                                 {"note", played.scenario->note},
                                 {"good", played.good()},
                                 {"same", played.verdict.same},
                                 {"expected", played.verdict.expected},
                                 {"complaints", played.complaints()},
                                 {"stories", stories}});
  }

  void end(const Summary& summary) override {
    all_["summary"] = {{"scenarios", summary.scenarios},
                       {"backends", summary.backends},
                       {"stories", summary.stories},
                       {"good", summary.bad.empty()},
                       {"bad", summary.bad}};
    fmt::print("{}\n", all_.dump(2));
  }

 private:
  Json all_;
};

}  // namespace

std::unique_ptr<TraceReport> make_json_report() {
  return std::make_unique<JsonReport>();
}

}  // namespace pollux::tools
