// SPDX-License-Identifier: MIT
// Plays many histories on many backends, on all cores, and finds those that are not reported as the
// contract has them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conformance/engine/player.hpp"
#include "conformance/support/contestants.hpp"

namespace pollux::differential {

using support::Contestant;

/// Those backends under test that can be made here.
std::vector<Contestant> usable_contestants();

/// What to play.
struct Plan {
  std::vector<Kind> kinds{all_kinds().begin(), all_kinds().end()};
  std::vector<Op> left_out;  ///< operations that are not played
  /// Every history of the core operations up to this many.
  unsigned depth = 4;
  /// Every history of all operations up to this many.
  unsigned depth_of_all = 0;
  /// Both of these at the pace `marked` as well; random ones are at each pace.
  bool marked_exhaustively = true;
  /// Then random histories of all operations, up to `random_length` long: as many as this for each
  /// kind and pace, or for as long as `random_for`, whichever is less.
  std::uint64_t random_histories = 0;
  std::chrono::nanoseconds random_for = std::chrono::nanoseconds::max();
  unsigned random_length = 40;
  std::uint64_t seed = 1;
  unsigned threads = 0;  ///< 0: as many as there are cores
  /// If set, what this one tells is expected of the others, instead of what the model predicts.
  std::optional<Contestant> against;
  std::size_t most_divergences = 20;
  std::size_t most_unsteady = 5;
  bool stop_at_most = false;  ///< end when so many have been found
};

/// How one history was told on one backend.
enum class Verdict {
  as_expected,
  not_steady,  ///< otherwise, and then as expected when it was played anew
  otherwise,   ///< each time it was played
};

/// A history that was reported otherwise than expected, each time it was played, made as short as
/// it can be.
struct Divergence {
  History history;
  std::string backend;
  std::string witness;  ///< who expected otherwise: "the contract", or a backend
  Trace expected;
  Trace seen;
};

/// A history that was reported otherwise and, played anew, as expected. The machine may have been
/// late to deliver something, or a race has been seen: nobody can tell from one of them, so they
/// are counted and shown, and are no failure by themselves.
struct Unsteady {
  History history;
  std::string backend;
  Trace expected;
  Trace seen;
};

struct KindReport {
  Kind kind;
  std::uint64_t histories = 0;
  std::uint64_t divergent = 0;
  std::uint64_t not_steady = 0;
};

struct Report {
  std::vector<std::string> backends;
  std::vector<KindReport> kinds;
  std::vector<Divergence> divergences;  ///< the first ones
  std::vector<Unsteady> unsteady;       ///< likewise
  std::uint64_t random_histories = 0;   ///< of all that were played
  std::chrono::nanoseconds took{};

  std::uint64_t histories() const;
  std::uint64_t divergent() const;
  std::uint64_t not_steady() const;
};

/// How far it is; `planned` is 0 where only time limits it. Called by one thread at a time.
using Progress = std::function<void(Kind kind, std::uint64_t played, std::uint64_t planned)>;

/// Says how a history must be reported.
class Witness {
 public:
  /// The model of the contract.
  Witness() = default;
  /// Another backend, as it tells it. Where it is as the model has it for that backend, the model's
  /// word for the one in question is taken: they may owe a different early notice.
  explicit Witness(const Contestant& contestant);

  const std::string& name() const noexcept { return name_; }
  Trace expects(const History& history, const Player& of);

 private:
  std::string name_ = "the contract";
  std::unique_ptr<Player> player_;
};

/// Plays the plan, but for kinds that there are none of here. `stop`, if given, ends it early.
/// Throws what a contestant's maker throws.
Report explore(const Plan& plan, std::span<const Contestant> contestants,
               const Progress& progress = {}, const std::atomic<bool>* stop = nullptr);

/// Plays one history on one backend: until it is told as expected, three times at most. What was
/// told otherwise first goes into `otherwise`.
Verdict judge(Player& player, const History& history, Witness& witness, Trace* otherwise = nullptr);

/// What does not stand when it is played anew is no divergence.
inline bool plays_as_expected(Player& player, const History& history, Witness& witness) {
  return judge(player, history, witness) != Verdict::otherwise;
}

/// The shortest history that still diverges on `player`, found by leaving operations out.
Divergence shrink(Player& player, std::string backend, History history, Witness& witness);

/// A divergence, to read; ends with a test to paste.
std::string to_string(const Divergence& divergence);
std::string to_string(std::span<const Divergence> divergences);
/// One line, and what was delivered instead.
std::string to_string(const Unsteady& unsteady);

}  // namespace pollux::differential
