// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>

#include "conformance/scenarios/scenarios.hpp"
#include "conformance/scenarios/script.hpp"
#include "conformance/support/system.hpp"

namespace pollux::scenarios {

namespace {

/// Holds one transcript against the script; a sentence for each difference.
class Reader {
 public:
  Reader(const Transcript& transcript, std::vector<std::string>& differences)
      : transcript_{transcript}, differences_{differences} {}

  void compare(const std::vector<Step>& script) {
    for (std::size_t i = 0; i < script.size(); ++i) compare(script[i], transcript_.steps[i]);
  }

 private:
  void compare(const Step& step, const StepRecord& record) {
    if (record.result != step.result)
      differ(step, "gave " + quoted(record.result) + ", not " + quoted(step.result));
    for (const WatchRecord& watch : record.watches) {
      const auto delivers = std::ranges::find(step.delivers, watch.watch, &Delivers::watch);
      const bool named = delivers != step.delivers.end();
      const std::string_view story = named ? delivers->story : "";
      if (watch.delivered != story)
        differ(step,
               watch.watch + " was told " + quoted(watch.delivered) + ", not " + quoted(story));
      const bool native =
          any(transcript_.reports, RawReady::rdhup) && support::system_facts().raw_flags_are_linux;
      if (named && delivers->native != RawReady::none && native)
        compare(step, watch, delivers->native);
    }
  }

  void compare(const Step& step, const WatchRecord& watch, RawReady native) {
    RawReady together = RawReady::none;
    for (const RawReady ready : watch.seen) together |= ready;
    if (together != native)
      differ(step,
             watch.watch + " saw " + quoted(flags(together)) + ", not " + quoted(flags(native)));
  }

  static std::string quoted(std::string_view text) {
    return text.empty() ? "nothing" : '"' + std::string{text} + '"';
  }

  void differ(const Step& step, const std::string& what) {
    differences_.push_back(transcript_.backend + ", " + std::string{to_string(transcript_.kind)} +
                           ", \"" + step.action + "\": " + what);
  }

  const Transcript& transcript_;
  std::vector<std::string>& differences_;
};

bool same_story(const Transcript& a, const Transcript& b) {
  constexpr auto same_watch = [](const WatchRecord& x, const WatchRecord& y) {
    return x.watch == y.watch && x.delivered == y.delivered;
  };
  return std::ranges::equal(a.steps, b.steps, [&](const StepRecord& x, const StepRecord& y) {
    return x.result == y.result && std::ranges::equal(x.watches, y.watches, same_watch);
  });
}

}  // namespace

Verdict judge(const Scenario& scenario, std::span<const Transcript> transcripts) {
  Verdict verdict;
  for (const Transcript& transcript : transcripts) {
    Reader{transcript, verdict.differences}.compare(scenario.script(transcript.kind));
    const auto first = std::ranges::find(transcripts, transcript.kind, &Transcript::kind);
    if (!same_story(*first, transcript)) verdict.same = false;
  }
  verdict.expected = verdict.differences.empty();
  return verdict;
}

}  // namespace pollux::scenarios
