// SPDX-License-Identifier: MIT
// The transcripts of one scenario, side by side; and its verdict in words.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "trace_report.hpp"

namespace pollux::tools {

namespace {

using scenarios::StepRecord;
using scenarios::Transcript;
using scenarios::WatchRecord;
using support::PairKind;

std::vector<const Transcript*> on(const Played& played, PairKind kind) {
  std::vector<const Transcript*> found;
  for (const Transcript& transcript : played.transcripts) {
    if (transcript.kind == kind) found.push_back(&transcript);
  }
  return found;
}

bool all_equal(const std::vector<std::string>& texts) {
  return std::ranges::adjacent_find(texts, std::ranges::not_equal_to{}) == texts.end();
}

/// The text that all have in common, or "epoll: 1" and "poll, asio: EPIPE" with `between`.
std::string merge(const std::vector<std::string>& texts, const std::vector<const Transcript*>& of,
                  std::string_view between) {
  if (all_equal(texts)) return texts.front();
  std::vector<std::string> seen;
  std::vector<std::string> groups;
  for (const std::string& text : texts) {
    if (std::ranges::find(seen, text) != seen.end()) continue;
    seen.push_back(text);
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (texts[i] == text) names.push_back(of[i]->backend);
    }
    groups.push_back(fmt::format("{}: {}", list(names), text));
  }
  return fmt::format("{}", fmt::join(groups, between));
}

std::string seen_text(const WatchRecord& watch) {
  std::string text;
  for (const RawReady ready : watch.seen)
    text.append(text.empty() ? "" : ", ").append(scenarios::flags(ready));
  return text.empty() ? "-" : text;
}

std::string action_text(std::size_t step, const std::vector<const Transcript*>& transcripts) {
  std::vector<std::string> results;
  for (const Transcript* transcript : transcripts)
    results.push_back(transcript->steps[step].result);
  std::string text = transcripts.front()->steps[step].action;
  const std::string result = merge(results, transcripts, "; ");
  return result.empty() ? text : text + " -> " + result;
}

/// What one watch has to say of one step; nothing if it isn't worth a row.
std::optional<TraceRow> row_of(std::size_t step, std::size_t watch,
                               const std::vector<const Transcript*>& transcripts) {
  TraceRow row;
  std::vector<std::string> delivered;
  bool worth_it = false;
  for (const Transcript* transcript : transcripts) {
    const WatchRecord& record = transcript->steps[step].watches[watch];
    row.watch = record.watch;
    row.seen.push_back(seen_text(record));
    delivered.push_back(record.delivered.empty() ? "nothing" : record.delivered);
    if (!record.delivered.empty()) row.quiet = false;
    worth_it |= record.named || !record.delivered.empty() || !record.seen.empty();
  }
  if (!worth_it) return std::nullopt;
  row.delivered = merge(delivered, transcripts, "\n");
  row.same = all_equal(delivered);
  return row;
}

}  // namespace

std::vector<std::string> players(const Played& played, PairKind kind) {
  std::vector<std::string> names;
  for (const Transcript* transcript : on(played, kind)) names.push_back(transcript->backend);
  return names;
}

std::vector<TraceRow> trace_rows(const Played& played, PairKind kind) {
  const auto transcripts = on(played, kind);
  std::vector<TraceRow> rows;
  if (transcripts.empty()) return rows;
  const std::vector<StepRecord>& steps = transcripts.front()->steps;
  bool begun = false;  // before anything is expected, silence is not worth a word
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const std::size_t first = rows.size();
    for (std::size_t watch = 0; watch < steps[step].watches.size(); ++watch) {
      if (auto row = row_of(step, watch, transcripts)) rows.push_back(*std::move(row));
    }
    begun |= rows.size() > first || !steps[step].result.empty();
    if (rows.size() == first) {
      rows.emplace_back().seen.assign(transcripts.size(), begun ? "-" : "");
      rows.back().delivered = begun ? "nothing" : "";
    }
    rows[first].action = action_text(step, transcripts);
  }
  return rows;
}

std::string Played::verdict_text() const {
  std::vector<std::string_view> on_kinds;
  for (const PairKind kind : kinds) on_kinds.push_back(to_string(kind));
  const bool alone = !kinds.empty() && players(*this, kinds.front()).size() < 2;
  const std::string_view words = !failures.empty()   ? "NOT PLAYED EVERYWHERE"
                                 : !verdict.same     ? "DIFFERENT STORIES"
                                 : !verdict.expected ? "NOT THE EXPECTED STORY"
                                 : alone             ? "expected story"
                                                     : "same story";
  return fmt::format("{} ({})", words, list(on_kinds));
}

std::vector<PairKind> Played::kinds_worth_showing() const {
  std::vector<PairKind> shown;
  for (const PairKind kind : kinds) {
    std::vector<Transcript> side_by_side;
    for (const Transcript* transcript : on(*this, kind)) side_by_side.push_back(*transcript);
    if (!side_by_side.empty() && (shown.empty() || !scenarios::judge(*scenario, side_by_side)))
      shown.push_back(kind);
  }
  return shown;
}

std::vector<std::string> Played::complaints() const {
  std::vector<std::string> all = failures;
  all.insert(all.end(), verdict.differences.begin(), verdict.differences.end());
  return all;
}

std::string Summary::text() const {
  const auto count = [](std::size_t n, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
  };
  const std::string verdict = !bad.empty()
                                  ? fmt::format("NOT as expected in {}", fmt::join(bad, ", "))
                              : backends > 1 ? "all the same, and as expected"
                                             : "all as expected";
  return fmt::format("{}, {}, {}: {}", count(scenarios, "scenario", "scenarios"),
                     count(backends, "backend", "backends"), count(stories, "story", "stories"),
                     verdict);
}

}  // namespace pollux::tools
