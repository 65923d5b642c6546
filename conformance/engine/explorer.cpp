// SPDX-License-Identifier: MIT
#include "conformance/engine/explorer.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "conformance/engine/batches.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::differential {

namespace {

class Exploration {
 public:
  Exploration(const Plan& plan, std::span<const Contestant> contestants, const Progress& progress,
              const std::atomic<bool>* stop)
      : plan_{plan}, contestants_{contestants}, progress_{progress}, stop_{stop} {}

  Report run() {
    const auto start = std::chrono::steady_clock::now();
    for (const Contestant& contestant : contestants_) report_.backends.push_back(contestant.name);
    for (const Kind kind : plan_.kinds) {
      if (!why_unavailable(kind).empty()) continue;
      for (Batch& batch : batches(plan_, kind)) batches_.push_back(std::move(batch));
    }
    for (const Kind kind : plan_.kinds) report_.kinds.push_back({kind});
    if (plan_.random_for < std::chrono::nanoseconds::max())
      random_share_ =
          plan_.random_for / std::max<std::size_t>(all_paces().size() * plan_.kinds.size(), 1);

    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    {
      std::vector<support::Thread> threads;
      for (unsigned i = 0; i < (plan_.threads != 0 ? plan_.threads : cores); ++i)
        threads.emplace_back([this] { work(); });
    }
    if (failure_) std::rethrow_exception(failure_);
    report_.took = std::chrono::steady_clock::now() - start;
    return std::move(report_);
  }

 private:
  static constexpr std::uint64_t portion = 64;

  struct Share {
    const Batch* batch = nullptr;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };

  void work() try {
    std::vector<std::unique_ptr<Player>> players;
    for (const Contestant& contestant : contestants_)
      players.push_back(std::make_unique<Player>(contestant.make));
    Witness witness = plan_.against ? Witness{*plan_.against} : Witness{};
    while (const auto share = next_share()) {
      KindReport seen{share->batch->kind};
      std::uint64_t random = 0;
      for (std::uint64_t number = share->from; number < share->to && !ended_; ++number) {
        const History history = share->batch->at(number);
        ++seen.histories;
        random += share->batch->random ? 1u : 0u;
        for (std::size_t i = 0; i < players.size(); ++i)
          play(*players[i], contestants_[i].name, history, witness, seen);
      }
      add(seen, random);
    }
  } catch (...) {
    const std::lock_guard lock{mutex_};
    failure_ = std::current_exception();
    ended_ = true;
  }

  void play(Player& player, const std::string& name, const History& history, Witness& witness,
            KindReport& seen) {
    Trace otherwise;
    switch (judge(player, history, witness, &otherwise)) {
      case Verdict::as_expected:
        return;
      case Verdict::not_steady: {
        ++seen.not_steady;
        Trace expected = witness.expects(history, player);
        const std::lock_guard lock{mutex_};
        if (report_.unsteady.size() < plan_.most_unsteady)
          report_.unsteady.push_back({history, name, std::move(expected), std::move(otherwise)});
        return;
      }
      case Verdict::otherwise:
        return keep_divergence(player, name, history, witness, seen);
    }
  }

  void keep_divergence(Player& player, const std::string& name, const History& history,
                       Witness& witness, KindReport& seen) {
    ++seen.divergent;
    {
      const std::lock_guard lock{mutex_};
      if (report_.divergences.size() >= plan_.most_divergences) return;
    }
    Divergence found = shrink(player, name, history, witness);
    const std::lock_guard lock{mutex_};
    const bool known = std::ranges::any_of(report_.divergences, [&](const Divergence& other) {
      return other.history == found.history && other.backend == found.backend;
    });
    if (!known) report_.divergences.push_back(std::move(found));
    if (plan_.stop_at_most && report_.divergences.size() >= plan_.most_divergences) ended_ = true;
  }

  std::optional<Share> next_share() {
    const std::lock_guard lock{mutex_};
    while (!ended_ && batch_ < batches_.size() && (stop_ == nullptr || !stop_->load())) {
      const Batch& batch = batches_[batch_];
      const auto now = std::chrono::steady_clock::now();
      if (next_ == 0) batch_start_ = now;
      const bool late = batch.random && now - batch_start_ >= random_share_;
      if (next_ >= batch.count || late) {
        ++batch_;
        next_ = 0;
        continue;
      }
      const std::uint64_t from = next_;
      next_ = std::min(batch.count, next_ + portion);
      return Share{&batch, from, next_};
    }
    return std::nullopt;
  }

  void add(const KindReport& seen, std::uint64_t random) {
    const std::lock_guard lock{mutex_};
    report_.random_histories += random;
    for (KindReport& kind : report_.kinds) {
      if (kind.kind != seen.kind) continue;
      kind.histories += seen.histories;
      kind.divergent += seen.divergent;
      kind.not_steady += seen.not_steady;
    }
    played_ += seen.histories;
    std::uint64_t planned = 0;
    for (const Batch& batch : batches_) planned += batch.count;
    if (random_share_ < std::chrono::nanoseconds::max()) planned = 0;
    if (progress_) progress_(seen.kind, played_, planned);
  }

  const Plan& plan_;
  std::span<const Contestant> contestants_;
  const Progress& progress_;
  const std::atomic<bool>* stop_;
  std::vector<Batch> batches_;

  std::mutex mutex_;
  Report report_;
  std::size_t batch_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t played_ = 0;
  std::chrono::steady_clock::time_point batch_start_;
  std::chrono::nanoseconds random_share_ = std::chrono::nanoseconds::max();
  std::atomic<bool> ended_{false};
  std::exception_ptr failure_;
};

std::uint64_t sum_of(const Report& report, std::uint64_t KindReport::*count) {
  std::uint64_t sum = 0;
  for (const KindReport& kind : report.kinds) sum += kind.*count;
  return sum;
}

}  // namespace

std::uint64_t Report::histories() const {
  return sum_of(*this, &KindReport::histories);
}
std::uint64_t Report::divergent() const {
  return sum_of(*this, &KindReport::divergent);
}
std::uint64_t Report::not_steady() const {
  return sum_of(*this, &KindReport::not_steady);
}

std::vector<Contestant> usable_contestants() {
  const auto present = support::contestants();
  return {present.begin(), present.end()};
}

Report explore(const Plan& plan, std::span<const Contestant> contestants, const Progress& progress,
               const std::atomic<bool>* stop) {
  return Exploration{plan, contestants, progress, stop}.run();
}

Witness::Witness(const Contestant& contestant)
    : name_{contestant.name}, player_{std::make_unique<Player>(contestant.make)} {}

Trace Witness::expects(const History& history, const Player& of) {
  Trace predicted = predict(history, of.early_notice());
  if (!player_) return predicted;
  Trace delivered = player_->play(history);
  return delivered == predict(history, player_->early_notice()) ? predicted : delivered;
}

Verdict judge(Player& player, const History& history, Witness& witness, Trace* otherwise) {
  constexpr int tries = 3;
  for (int i = 0; i < tries; ++i) {
    Trace seen = player.play(history);
    if (seen == witness.expects(history, player))
      return i == 0 ? Verdict::as_expected : Verdict::not_steady;
    if (i == 0 && otherwise != nullptr) *otherwise = std::move(seen);
  }
  return Verdict::otherwise;
}

Divergence shrink(Player& player, std::string backend, History history, Witness& witness) {
  for (std::size_t i = 0; i < history.ops.size();) {
    History shorter = history;
    shorter.ops.erase(shorter.ops.begin() + static_cast<std::ptrdiff_t>(i));
    if (plays_as_expected(player, shorter, witness)) {
      ++i;
    } else {
      history = std::move(shorter);
      i = 0;
    }
  }
  Trace expected = witness.expects(history, player);
  Trace seen = player.play(history);
  return {std::move(history), std::move(backend), witness.name(), std::move(expected),
          std::move(seen)};
}

std::string to_string(const Divergence& divergence) {
  const std::string history = to_string(divergence.history);
  return history + "\n\n-- by " + divergence.witness + "\n" +
         to_string(divergence.expected, divergence.history) + "\n-- on " + divergence.backend +
         "\n" + to_string(divergence.seen, divergence.history) +
         "\n-- as a test: a row for Regression in tests/differential/differential_test.cpp\n    "
         "\"" +
         history + "\",\n";
}

std::string to_string(const Unsteady& unsteady) {
  // From the first operation on whose effect they differ.
  const auto [expected, seen] = std::ranges::mismatch(unsteady.expected, unsteady.seen);
  const auto lines = [&](const Trace& trace, Trace::const_iterator from) {
    while (from != trace.begin() && (from == trace.end() || from->what != Item::What::op)) --from;
    const bool starts = from == trace.begin();
    return std::string{starts ? "" : "… "} + to_line({from, trace.end()}, unsteady.history);
  };
  return to_string(unsteady.history) + " on " + unsteady.backend +
         "\n    told once: " + lines(unsteady.seen, seen) +
         "\n    else:      " + lines(unsteady.expected, expected) + '\n';
}

std::string to_string(std::span<const Divergence> divergences) {
  std::string text;
  for (const Divergence& divergence : divergences) text += to_string(divergence) + '\n';
  return text;
}

}  // namespace pollux::differential
