// SPDX-License-Identifier: MIT
// What published texts say about RDHUP, HUP, shutdown, close and dup, row by row: played on a
// backend with real descriptors, and held against one story that does not depend on the backend.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pollux/backend.hpp>

#include "conformance/support/contestants.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::scenarios {

using support::PairKind;

struct Step;

/// One row of the texts.
struct Scenario {
  std::string_view id;              ///< "S1"
  std::string_view title;           ///< a few words
  std::string_view note;            ///< what the text says, and whether it is so
  std::span<const PairKind> kinds;  ///< what it is played on, tcp4 first
  /// What is done, and what each watch must be told of it. Differs between kinds where the kinds
  /// do.
  std::vector<Step> (*script)(PairKind kind);
  /// Waits for a timer of the kernel, for seconds. All others take milliseconds, and reuse numbers
  /// of descriptors: while one of those is played, no other thread may open any.
  bool slow = false;
  /// Needs a peer that the network has taken away.
  bool dead_peer = false;
  /// Needs a system that reports a shutdown by hand, through another descriptor.
  bool shutdown_elsewhere = false;
};

/// All of them, in order. Any thread.
std::span<const Scenario> all() noexcept;

/// Of its kinds, those that this system has; none where it lacks what else the scenario needs.
std::vector<PairKind> playable_kinds(const Scenario& scenario);
/// A sentence for that; empty where it can be played.
std::string why_unavailable(const Scenario& scenario);

/// What one watch saw and heard in one step.
struct WatchRecord {
  std::string watch;
  std::vector<RawReady> seen;  ///< the backend's reports for it; equal ones in a row once
  /// The events, in order, whether they came in one call of the handler or in several:
  /// "readable(3) end_of_stream" where the handler read 3 bytes, "readable" where it read none,
  /// "error(broken_pipe) hangup". "spins" at the end: turn after turn was for nothing.
  std::string delivered;
  bool named = false;  ///< the script says what it must be delivered: something, or by name nothing
};

struct StepRecord {
  std::string action;  ///< "peer: shutdown(SHUT_WR)"
  std::string result;  ///< what the system call gave, "1", "EPIPE"; empty if that says nothing
  std::vector<WatchRecord> watches;  ///< in the order in which they were made
};

struct Transcript {
  std::string backend;
  RawReady reports = RawReady::none;  ///< Backend::reports()
  PairKind kind{};
  std::vector<StepRecord> steps;
};

/// Plays it live. Throws std::system_error if the system refuses something on the way.
Transcript play(const Scenario& scenario, const support::Contestant& contestant, PairKind kind);

/// `same`: on each kind, all backends told one story, and system calls gave the same. `expected`:
/// and it was the scenario's own; the raw flags too, where a backend reports the peer's FIN
/// natively.
struct Verdict {
  bool same = true;
  bool expected = true;
  std::vector<std::string> differences;  ///< from what is expected, a sentence each

  explicit operator bool() const noexcept { return same && expected; }
};

Verdict judge(const Scenario& scenario, std::span<const Transcript> transcripts);

/// "IN+RDHUP", in the kernel's words; "" for none.
std::string flags(RawReady ready);

}  // namespace pollux::scenarios
