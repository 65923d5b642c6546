// SPDX-License-Identifier: MIT
// A libFuzzer target: makes up histories, plays each on every compiled-in backend, and holds what
// is told against the model of the contract. The input is the text that the engine prints ("tcp4
// each: peer_write pause"): what is kept or found can be read, and played by `pollux verify
// --history`. With $POLLUX_FUZZ_BROKEN it plays a broken backend instead, and has to find that.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/engine/explorer.hpp"
#include "differential/broken_backends.hpp"

namespace pollux::differential {

namespace {

constexpr std::size_t most_ops = 40;

struct Runner {
  std::string name;
  std::unique_ptr<Player> player;
};

std::vector<Runner> make_runners() {
  std::signal(SIGPIPE, SIG_IGN);  // the histories write to pipes that nobody reads
  const char* broken = std::getenv("POLLUX_FUZZ_BROKEN");
  std::vector<Runner> all;
  for (const Contestant& contestant :
       broken != nullptr ? broken_contestants() : usable_contestants()) {
    if (broken == nullptr || contestant.name == broken)
      all.push_back({contestant.name, std::make_unique<Player>(contestant.make)});
  }
  if (all.empty()) {
    std::fputs("There is no such backend.\n", stderr);
    std::exit(2);
  }
  return all;
}

// What libFuzzer takes for coverage beside that of the code: which operation after which other has
// had which effect on which kind. The code alone looks well covered long before the behaviour is.
[[gnu::section("__libfuzzer_extra_counters")]] std::uint8_t behaviours[1 << 14];

void count_behaviours(const History& history, const Trace& trace) {
  std::size_t before = op_count + 1;
  std::uint64_t seen = 0;
  const auto begin = [&](std::size_t op) {
    const auto kind = static_cast<std::size_t>(history.kind);
    seen = (kind * (op_count + 2) + std::exchange(before, op)) * (op_count + 2) + op;
  };
  const auto end = [&] { behaviours[(seen >> 32) % sizeof behaviours] = 1; };
  begin(op_count + 1);
  for (const Item& item : trace) {
    if (item.what == Item::What::op) {
      end();
      begin(static_cast<std::size_t>(history.ops[static_cast<std::size_t>(item.value)]));
    }
    const auto what = static_cast<std::uint64_t>(item.what);
    const auto value = item.what == Item::What::op ? 0u : static_cast<std::uint8_t>(item.value);
    seen = (seen ^ (what << 8 | value) ^ static_cast<std::uint64_t>(item.watch) << 16) *
           0x9E3779B97F4A7C15u;
  }
  end();
}

void play(const History& history) {
  static const std::vector<Runner> runners = make_runners();
  static Witness contract;
  for (const Runner& runner : runners) {
    if (plays_as_expected(*runner.player, history, contract)) continue;
    const Divergence found = shrink(*runner.player, runner.name, history, contract);
    std::fputs(("\n" + to_string(found)).c_str(), stderr);
    // What is delivered as expected when it is shown was the machine's being late: not steady.
    if (found.seen == found.expected) continue;
    std::abort();
  }
  count_behaviours(history, predict(history, runners.front().player->early_notice()));
}

/// Those that there are here.
const std::vector<Kind>& kinds_here() {
  static const std::vector<Kind> here = [] {
    std::vector<Kind> all{all_kinds().begin(), all_kinds().end()};
    std::erase_if(all, [](Kind kind) { return !why_unavailable(kind).empty(); });
    return all;
  }();
  return here;
}

bool is_played_here(const History& history) {
  return std::ranges::find(kinds_here(), history.kind) != kinds_here().end() &&
         std::ranges::all_of(history.ops,
                             [&](Op op) { return why_unavailable(history.kind, op).empty(); });
}

using Generator = std::minstd_rand;

/// Changes a history in one way; what libFuzzer finds worthwhile is changed again.
class Mutation {
 public:
  Mutation(History& history, unsigned seed) : history_{history}, generator_{seed} {}

  void apply() {
    switch (below(8)) {
      case 0:
        return history_.ops.empty() ? insert() : erase();
      case 1:
        return history_.ops.empty() ? insert() : replace();
      case 2:
        return repeat();
      case 3:
        history_.kind = kinds_here()[below(kinds_here().size())];
        std::erase_if(history_.ops, [this](Op op) { return !applies(history_.kind, op); });
        return;
      case 4:
        history_.pace = all_paces()[below(all_paces().size())];
        if (history_.pace != Pace::marked) std::erase(history_.ops, Op::turn);
        return;
      default:
        return insert();
    }
  }

  std::size_t below(std::size_t end) { return generator_() % end; }

 private:
  using Position = std::vector<Op>::iterator;

  Position somewhere(std::size_t end) {
    return history_.ops.begin() + static_cast<std::ptrdiff_t>(below(end));
  }

  Op any_op() {
    if (history_.pace == Pace::marked && below(4) == 0) return Op::turn;
    while (true) {
      const auto op = static_cast<Op>(below(op_count));
      if (applies(history_.kind, op) && why_unavailable(history_.kind, op).empty()) return op;
    }
  }

  void insert() { history_.ops.insert(somewhere(history_.ops.size() + 1), any_op()); }
  void erase() { history_.ops.erase(somewhere(history_.ops.size())); }
  void replace() { *somewhere(history_.ops.size()) = any_op(); }
  void repeat() {
    if (history_.ops.empty()) return;
    const std::vector<Op> part{somewhere(history_.ops.size()), history_.ops.end()};
    history_.ops.insert(history_.ops.end(), part.begin(), part.end());
  }

  History& history_;
  Generator generator_;
};

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// As text, cut to what fits.
std::size_t write(History history, std::uint8_t* data, std::size_t max_size) {
  if (history.ops.size() > most_ops) history.ops.resize(most_ops);
  keep_what_goes_together(history);
  std::string text = to_string(history);
  while (text.size() > max_size && !history.ops.empty()) {
    history.ops.pop_back();
    text = to_string(history);
  }
  if (text.size() > max_size) return 0;
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

}  // namespace

}  // namespace pollux::differential

using namespace pollux::differential;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto history = parse(text_of(data, size));
  if (history && is_played_here(*history)) play(*history);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  History history = parse(text_of(data, size)).value_or(History{});
  Mutation mutation{history, seed};
  do {
    mutation.apply();
  } while (mutation.below(3) == 0);
  return write(std::move(history), data, max_size);
}

/// The beginning of one history, and the end of another.
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* data1, std::size_t size1,
                                                 const std::uint8_t* data2, std::size_t size2,
                                                 std::uint8_t* out, std::size_t max_size,
                                                 unsigned seed) {
  auto first = parse(text_of(data1, size1)).value_or(History{});
  const auto second = parse(text_of(data2, size2)).value_or(History{});
  Generator generator{seed};
  first.ops.resize(generator() % (first.ops.size() + 1));
  for (std::size_t i = generator() % (second.ops.size() + 1); i < second.ops.size(); ++i) {
    if (second.ops[i] == Op::turn && first.pace != Pace::marked) continue;
    if (applies(first.kind, second.ops[i])) first.ops.push_back(second.ops[i]);
  }
  return write(std::move(first), out, max_size);
}
