// SPDX-License-Identifier: MIT
// Plays many histories on many backends, on all cores, and finds those that are not told as the
// contract has them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "differential/player.hpp"

namespace pollux::differential {

/// A backend under test; `make` is called once a thread, and throws if it cannot.
struct Contestant {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

/// All backends that are compiled in and usable here.
std::vector<Contestant> usable_contestants();

/// What to play.
struct Plan {
  std::vector<Kind> kinds{all_kinds().begin(), all_kinds().end()};
  /// Every history of the core operations up to this many.
  unsigned depth = 4;
  /// Then random histories of all operations, up to `random_length` long: as many as this for each
  /// kind and pace, or for as long as `random_for`, whichever is less.
  std::uint64_t random_histories = 0;
  std::chrono::nanoseconds random_for = std::chrono::nanoseconds::max();
  unsigned random_length = 40;
  std::uint64_t seed = 1;
  unsigned threads = 0;  ///< 0: as many as there are cores
  std::size_t most_divergences = 20;
  bool stop_at_most = false;  ///< end when so many have been found
};

/// A history that was told otherwise than predicted, each time it was played, made as short as it
/// can be.
struct Divergence {
  History history;
  std::string backend;
  Trace expected;
  Trace seen;
};

struct KindReport {
  Kind kind;
  std::uint64_t histories = 0;
  std::uint64_t divergent = 0;
  /// Diverged once and then not again: the machine was late to deliver something.
  std::uint64_t unsteady = 0;
};

struct Report {
  std::vector<std::string> backends;
  std::vector<KindReport> kinds;
  std::vector<Divergence> divergences;  ///< the first ones
  std::chrono::nanoseconds took{};

  std::uint64_t histories() const;
  std::uint64_t divergent() const;
  std::uint64_t unsteady() const;
};

/// How far it is; `planned` is 0 where only time limits it. Called by one thread at a time.
using Progress = std::function<void(Kind kind, std::uint64_t played, std::uint64_t planned)>;

/// Plays the plan. `stop`, if given, ends it early. Throws what a contestant's maker throws.
Report explore(const Plan& plan, std::span<const Contestant> contestants,
               const Progress& progress = {}, const std::atomic<bool>* stop = nullptr);

/// Plays one history on one backend; true if it is told as predicted, at least once in `tries`.
bool tells_as_predicted(Player& player, const History& history, int tries = 3,
                        bool* unsteady = nullptr);

/// The shortest history that still diverges on `player`, found by leaving operations out.
History shrink(Player& player, History history);

/// A divergence, to read; ends with a test to paste.
std::string to_string(const Divergence& divergence);
std::string to_string(std::span<const Divergence> divergences);

}  // namespace pollux::differential
