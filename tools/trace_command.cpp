// SPDX-License-Identifier: MIT
#include "trace_command.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

#include <pollux/backends.hpp>

#include "trace_report.hpp"

namespace pollux::tools {

namespace {

using scenarios::Scenario;
using scenarios::Transcript;
using support::PairKind;

constexpr std::array all_kinds = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream,
                                  PairKind::pipe};

/// The elements of `items` whose `name` is wanted.
template <class Items, class NameOf>
auto chosen_from(const Items& items, NameOf name_of, const std::vector<std::string>& wanted,
                 std::string_view what) {
  std::vector<std::string_view> names;
  for (const auto& item : items) names.push_back(name_of(item));
  const std::vector<bool> chosen = choose(wanted, names, what);
  std::vector<typename Items::value_type const*> found;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) found.push_back(&items[i]);
  }
  return found;
}

/// What does not work here is left out, with a word about it; what was asked for by name is an
/// error.
Cast choose_cast(const TraceOptions& options) {
  Cast cast;
  const auto leave_out = [&](bool asked_for, std::string_view name, const std::error_code& why) {
    std::string sentence = fmt::format("{} cannot be used here: {}", name, why.message());
    if (asked_for) throw std::runtime_error{sentence};
    cast.absent.push_back(std::move(sentence));
  };

  const auto backend_name = [](const BackendInfo& backend) { return backend.name; };
  for (const BackendInfo* backend :
       chosen_from(backends(), backend_name, options.backends, "backend")) {
    std::error_code error;
    if (usable(*backend, error)) {
      cast.backends.push_back(backend);
    } else {
      leave_out(!options.backends.empty(), backend->name, error);
    }
  }

  std::vector<std::string> kinds = options.kinds;
  if (std::ranges::find(kinds, "all") != kinds.end()) kinds.clear();
  const auto kind_name = [](PairKind kind) { return to_string(kind); };
  for (const PairKind* kind : chosen_from(all_kinds, kind_name, kinds, "kind")) {
    try {
      if (!support::is_available(*kind))
        throw std::system_error{std::make_error_code(std::errc::function_not_supported)};
      static_cast<void>(support::make_pair(*kind));
      cast.kinds.push_back(*kind);
    } catch (const std::system_error& error) {
      leave_out(!kinds.empty(), to_string(*kind), error.code());
    }
  }
  if (cast.backends.empty() || cast.kinds.empty())
    throw std::runtime_error{fmt::format("{}", fmt::join(cast.absent, "; "))};
  return cast;
}

/// Plays one scenario on everybody; a slow one on all of them at the same time.
Played play_all(const Scenario& scenario, const Cast& cast) {
  Played played;
  played.scenario = &scenario;
  std::vector<std::future<Transcript>> plays;
  const auto policy = scenario.slow ? std::launch::async : std::launch::deferred;
  const std::vector<PairKind> playable = scenarios::playable_kinds(scenario);
  for (const PairKind kind : cast.kinds) {
    if (std::ranges::find(playable, kind) == playable.end()) continue;
    played.kinds.push_back(kind);
    for (const BackendInfo* backend : cast.backends)
      plays.push_back(std::async(policy, scenarios::play, scenario, *backend, kind));
  }
  for (std::size_t i = 0; i < plays.size(); ++i) {
    try {
      played.transcripts.push_back(plays[i].get());
    } catch (const std::exception& error) {
      played.failures.push_back(fmt::format(
          "{}, {}: could not be played: {}", cast.backends[i % cast.backends.size()]->name,
          to_string(played.kinds[i / cast.backends.size()]), error.what()));
    }
  }
  played.verdict = scenarios::judge(scenario, played.transcripts);
  return played;
}

std::unique_ptr<TraceReport> make_report(Format format) {
  switch (format) {
    case Format::markdown:
      return make_markdown_report();
    case Format::json:
      return make_json_report();
    case Format::table:
      break;
  }
  return make_table_report();
}

}  // namespace

int trace(const TraceOptions& options) {
  const auto id = [](const Scenario& scenario) { return scenario.id; };
  auto chosen = chosen_from(scenarios::all(), id, options.scenarios, "scenario");
  Cast cast = choose_cast(options);
  std::erase_if(chosen, [&cast](const Scenario* scenario) {
    if (std::string why = why_unavailable(*scenario); !why.empty())
      return cast.absent.push_back(std::move(why)), true;
    return std::ranges::find_first_of(scenario->kinds, cast.kinds) == scenario->kinds.end();
  });
  if (chosen.empty()) throw UsageError{"none of these scenarios is played on these kinds"};

  const auto report = make_report(options.format);
  Summary summary;
  summary.scenarios = chosen.size();
  summary.backends = cast.backends.size();
  report->begin(cast);
  for (const Scenario* scenario : chosen) {
    const Played played = play_all(*scenario, cast);
    summary.stories += played.transcripts.size();
    if (!played.good()) summary.bad.emplace_back(scenario->id);
    report->add(played);
  }
  report->end(summary);
  return summary.bad.empty() ? 0 : 1;
}

}  // namespace pollux::tools
