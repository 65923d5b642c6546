// SPDX-License-Identifier: MIT
#include "verify_command.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <pollux/version.hpp>

#include "conformance/engine/batches.hpp"
#include "conformance/engine/explorer.hpp"
#include "conformance/support/system.hpp"
#include "terminal.hpp"

namespace pollux::tools {

namespace {

using namespace differential;

std::vector<Contestant> chosen_contestants(const std::vector<std::string>& wanted) {
  for (const support::Absentee& absentee : support::absentees()) {
    const std::string sentence = to_string(absentee);
    if (std::ranges::find(wanted, absentee.name) != wanted.end())
      throw std::runtime_error{sentence};
    if (wanted.empty()) fmt::print(stderr, "{}\n", sentence);
  }
  std::vector<Contestant> all = usable_contestants();
  std::vector<std::string_view> names;
  for (const Contestant& contestant : all) names.push_back(contestant.name);
  const std::vector<bool> chosen = choose(wanted, names, "backend");
  std::vector<Contestant> found;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (chosen[i]) found.push_back(std::move(all[i]));
  }
  return found;
}

/// The backends to play, and the one to judge them by, if any; no backend is judged by itself.
struct Sides {
  std::vector<Contestant> played;
  std::optional<Contestant> against;
};

Sides sides(const VerifyOptions& options) {
  Sides sides{chosen_contestants(options.backends), {}};
  if (options.against.empty()) return sides;
  sides.against = std::move(chosen_contestants({options.against}).front());
  std::erase_if(sides.played,
                [&](const Contestant& played) { return played.name == sides.against->name; });
  if (sides.played.empty())
    throw UsageError{fmt::format("nothing to compare \"{}\" with", options.against)};
  return sides;
}

std::string witness_name(const std::optional<Contestant>& against) {
  return against ? against->name : Witness{}.name();
}

std::vector<Kind> chosen_kinds(const std::vector<std::string>& wanted) {
  std::vector<std::string_view> names;
  for (const Kind kind : all_kinds()) names.push_back(to_string(kind));
  const std::vector<bool> chosen = choose(wanted, names, "kind");
  std::vector<Kind> found;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) found.push_back(all_kinds()[i]);
  }
  return found;
}

std::vector<Op> left_out(const std::vector<std::string>& wanted) {
  if (wanted.empty()) return {};
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < op_count; ++i) names.push_back(to_string(static_cast<Op>(i)));
  const std::vector<bool> chosen = choose(wanted, names, "operation");
  std::vector<Op> found;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) found.push_back(static_cast<Op>(i));
  }
  return found;
}

/// On the error stream: a bar on a terminal, elsewhere a plain line now and then.
class ProgressBar {
 public:
  ProgressBar() : on_terminal_{support::is_terminal_errors()} {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() {
    if (on_terminal_) fmt::print(stderr, "\r\x1b[K");
  }

  void show(Kind kind, std::uint64_t played, std::uint64_t planned) {
    const auto now = std::chrono::steady_clock::now();
    const auto interval =
        on_terminal_ ? std::chrono::milliseconds{100} : std::chrono::milliseconds{10'000};
    if (now - shown_ < interval) return;
    shown_ = now;
    if (!on_terminal_) {
      fmt::print(stderr, "{} histories played, now of {}\n", played, to_string(kind));
      std::fflush(stderr);  // Windows keeps it back
      return;
    }
    const auto share =
        planned != 0 ? static_cast<double>(played) / static_cast<double>(planned) : 0;
    const auto filled = static_cast<std::size_t>(share * 40);
    fmt::print(stderr, "\r\x1b[K{:<18} [{:<40}] {}", to_string(kind), std::string(filled, '='),
               played);
    std::fflush(stderr);
  }

 private:
  bool on_terminal_;
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
};

std::string machine() {
  return fmt::format("{}, {} cores", support::system_name(), std::thread::hardware_concurrency());
}

/// Few enough not to take longer than the core operations to that depth.
unsigned affordable_depth_of_all(unsigned depth) {
  return depth < 5 ? std::min(depth, 2u) : depth - 2;
}
std::uint64_t affordable_random(unsigned depth) {
  constexpr std::array<std::uint64_t, 6> histories{0, 50, 200, 500, 1000, 20'000};
  return histories[std::min<std::size_t>(depth, histories.size() - 1)];
}

/// What a user might think was played.
std::vector<std::string> not_played(const Plan& plan) {
  std::vector<std::string> all;
  for (const Kind kind : plan.kinds) {
    if (const std::string why = why_unavailable(kind); !why.empty())
      all.push_back(fmt::format("{}, as this system has none ({})", to_string(kind), why));
  }
  for (const Op op : {Op::peek, Op::peer_urgent, Op::low_water, Op::peer_close}) {
    for (const Kind kind : plan.kinds) {
      if (!why_unavailable(kind).empty()) continue;
      if (!applies(kind, op) || why_unavailable(kind, op).empty()) continue;
      all.push_back(
          fmt::format("{} on {}: {}", to_string(op), to_string(kind), why_unavailable(kind, op)));
    }
  }
  std::vector<std::string_view> others;
  for (const Kind kind : all_kinds()) {
    if (std::ranges::find(plan.kinds, kind) == plan.kinds.end()) others.push_back(to_string(kind));
  }
  for (const Op op : plan.left_out) others.push_back(to_string(op));
  if (!others.empty()) all.push_back("by request, " + list(others));
  if (plan.random_histories == 0) {
    std::vector<std::string_view> left_out;
    for (std::size_t i = 0; i < op_count; ++i) {
      const auto op = static_cast<Op>(i);
      const auto only_short = [op](Kind kind) { return applies(kind, op) && !is_core(kind, op); };
      if (std::ranges::any_of(plan.kinds, only_short)) left_out.push_back(to_string(op));
    }
    all.push_back(plan.depth_of_all == 0 ? "the operations " + list(left_out)
                                         : fmt::format("longer histories with {}", list(left_out)));
  }
  return all;
}

nlohmann::json to_json(const Report& report, const Plan& plan) {
  nlohmann::json json{{"pollux", version()},
                      {"machine", machine()},
                      {"backends", report.backends},
                      {"against", witness_name(plan.against)},
                      {"depth", plan.depth},
                      {"depth_of_all", plan.depth_of_all},
                      {"random_histories", report.random_histories},
                      {"seed", plan.seed},
                      {"seconds", std::chrono::duration<double>(report.took).count()},
                      {"histories", report.histories()},
                      {"divergent", report.divergent()},
                      {"not_steady", report.not_steady()},
                      {"kinds", nlohmann::json::array()},
                      {"not_played", nlohmann::json::array()},
                      {"divergences", nlohmann::json::array()},
                      {"unsteady", nlohmann::json::array()}};
  for (const KindReport& kind : report.kinds)
    json["kinds"].push_back({{"kind", to_string(kind.kind)},
                             {"histories", kind.histories},
                             {"divergent", kind.divergent},
                             {"not_steady", kind.not_steady}});
  for (const std::string& missing : not_played(plan)) json["not_played"].push_back(missing);
  for (const Divergence& found : report.divergences)
    json["divergences"].push_back({{"backend", found.backend},
                                   {"history", to_string(found.history)},
                                   {"witness", found.witness},
                                   {"expected", to_string(found.expected, found.history)},
                                   {"seen", to_string(found.seen, found.history)}});
  for (const Unsteady& once : report.unsteady)
    json["unsteady"].push_back({{"backend", once.backend},
                                {"history", to_string(once.history)},
                                {"expected", to_string(once.expected, once.history)},
                                {"seen", to_string(once.seen, once.history)}});
  return json;
}

void print_kinds(const Report& report, const Plan& plan, const Paint& paint) {
  fmt::print("kind                depth  histories  told otherwise  not steady\n");
  for (const KindReport& kind : report.kinds)
    fmt::print("{:<18}  {:>5}  {:>9}  {}  {:>10}\n", to_string(kind.kind),
               depth_for(plan.depth, kind.kind), kind.histories,
               paint(kind.divergent == 0 ? Style::good : Style::bad,
                     fmt::format("{:>14}", kind.divergent)),
               kind.not_steady);
}

void print_unsteady(const Report& report, const Paint& paint) {
  if (report.not_steady() == 0) return;
  fmt::print("\n{}",
             paragraph(fmt::format("Not steady: {} told otherwise once, and as expected when "
                                   "played anew. The first {}:",
                                   report.not_steady(), report.unsteady.size()),
                       paint));
  for (const Unsteady& once : report.unsteady)
    fmt::print("{}", paragraph(to_string(once), paint, Style::plain, 2));
}

/// What was played, and what was not.
std::string extent(const Report& report, const Plan& plan) {
  std::string text = "every history of the core operations to that depth";
  if (plan.depth_of_all > 0)
    text += fmt::format(", of all {} to depth {}", op_count, plan.depth_of_all);
  if (report.random_histories > 0)
    text += fmt::format(", and {} random ones of all, up to {} long (seed {})",
                        report.random_histories, plan.random_length, plan.seed);
  return text;
}

void print(const Report& report, const Plan& plan) {
  const Paint paint;
  fmt::print("{}\n",
             paragraph("A history is a sequence of operations on a fresh pair: writes, reads, "
                       "shutdowns, closes, resets, pausing and resuming. A model of the contract, "
                       "which knows the operations and no kernel's flag, predicts what has to be "
                       "told. Each history was played on real descriptors on every backend, with "
                       "the loop run after each operation, at the end, and at places in between.",
                       paint));
  if (plan.against)
    fmt::print("{}\n", paragraph(fmt::format("Here it was compared with what {0} told instead.",
                                             plan.against->name),
                                 paint));
  print_kinds(report, plan, paint);
  for (const Divergence& found : report.divergences) fmt::print("\n{}", to_string(found));
  print_unsteady(report, paint);
  fmt::print("\n{}", paragraph(fmt::format("{} histories, on {} {}, in {:.1f} s: {}.",
                                           report.histories(), fmt::join(report.backends, ", "),
                                           plan.against ? "against " + plan.against->name
                                                        : std::string{"and the model"},
                                           std::chrono::duration<double>(report.took).count(),
                                           extent(report, plan)),
                               paint));
  for (const std::string& missing : not_played(plan))
    fmt::print("{}", paragraph("Not played: " + missing + '.', paint));
  fmt::print("{}\n{}\n",
             report.divergent() == 0
                 ? paint(Style::good, plan.against ? "all told alike"
                                                   : "all told alike, and as the contract has it")
                 : paint(Style::bad, fmt::format("{} told otherwise", report.divergent())),
             machine());
}

int play_one(const std::string& text, const Sides& sides) {
  const auto history = parse(text);
  if (!history) throw UsageError{fmt::format("\"{}\" is not a history", text)};
  Witness witness = sides.against ? Witness{*sides.against} : Witness{};
  int status = 0;
  for (const Contestant& contestant : sides.played) {
    Player player{contestant.make};
    const Trace expected = witness.expects(*history, player);
    const Trace seen = player.play(*history);
    fmt::print("-- {}: {}\n{}\n", contestant.name,
               seen == expected ? fmt::format("as by {}", witness.name()) : "OTHERWISE",
               to_string(seen, *history));
    if (seen == expected) continue;
    fmt::print("-- by {}\n{}\n", witness.name(), to_string(expected, *history));
    status = 1;
  }
  return status;
}

}  // namespace

int verify(const VerifyOptions& options) {
  support::ignore_broken_pipes();  // the histories write to pipes that nobody reads
  const Sides compared = sides(options);
  if (!options.history.empty()) return play_one(options.history, compared);

  Plan plan;
  plan.against = compared.against;
  plan.kinds = chosen_kinds(options.kinds);
  plan.left_out = left_out(options.without);
  plan.depth = options.depth;
  plan.depth_of_all = options.depth_of_all.value_or(affordable_depth_of_all(options.depth));
  plan.random_histories = options.random.value_or(affordable_random(options.depth));
  plan.seed = options.seed;
  if (options.seconds > 0) {
    plan.random_histories = std::numeric_limits<std::uint64_t>::max();
    plan.random_for = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(options.seconds));
  }
  Report report;
  {
    ProgressBar bar;
    report =
        explore(plan, compared.played, [&](Kind kind, std::uint64_t played, std::uint64_t planned) {
          bar.show(kind, played, planned);
        });
  }
  if (options.json) {
    fmt::print("{}\n", to_json(report, plan).dump(2));
  } else {
    print(report, plan);
  }
  return report.divergent() == 0 ? 0 : 1;
}

}  // namespace pollux::tools
