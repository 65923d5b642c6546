// SPDX-License-Identifier: MIT
// What `pollux trace` has to say, for whoever prints it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conformance/scenarios/scenarios.hpp"
#include "options.hpp"

namespace pollux::tools {

/// Who plays, on what.
struct Cast {
  std::vector<const BackendInfo*> backends;
  std::vector<support::PairKind> kinds;
  std::vector<std::string> absent;  ///< what isn't played here, and why; a sentence each
};

/// One scenario, played by all.
struct Played {
  const scenarios::Scenario* scenario = nullptr;
  std::vector<support::PairKind> kinds;
  std::vector<scenarios::Transcript> transcripts;
  std::vector<std::string> failures;  ///< what could not be played, and why
  scenarios::Verdict verdict;

  bool good() const noexcept { return verdict && failures.empty(); }
  /// "same story (tcp4, tcp6)", "DIFFERENT STORIES ..."
  std::string verdict_text() const;
  /// The first kind, and those on which something is wrong.
  std::vector<support::PairKind> kinds_worth_showing() const;
  /// All that is wrong, a sentence each.
  std::vector<std::string> complaints() const;
};

struct Summary {
  std::size_t scenarios = 0;
  std::size_t backends = 0;
  std::size_t stories = 0;
  std::vector<std::string> bad;  ///< ids

  /// "24 scenarios, 3 backends, 198 stories: all the same, and as expected"
  std::string text() const;
};

/// What the backends' transcripts of one scenario and kind come to, side by side.
struct TraceRow {
  std::string action;  ///< with its result; empty if it is that of the row before
  std::string watch;
  std::vector<std::string> seen;  ///< by backend, "-" for nothing
  std::string delivered;          ///< one for all, or a line each, with the names
  bool quiet = true;              ///< nothing was delivered
  bool same = true;               ///< one story
};
std::vector<TraceRow> trace_rows(const Played& played, support::PairKind kind);
/// The backends that played it, in the order of TraceRow::seen.
std::vector<std::string> players(const Played& played, support::PairKind kind);

/// Prints as it comes.
class TraceReport {
 public:
  TraceReport() = default;
  TraceReport(const TraceReport&) = delete;
  TraceReport& operator=(const TraceReport&) = delete;
  virtual ~TraceReport() = default;

  virtual void begin(const Cast& cast) = 0;
  virtual void add(const Played& played) = 0;
  virtual void end(const Summary& summary) = 0;
};

std::unique_ptr<TraceReport> make_table_report();
std::unique_ptr<TraceReport> make_markdown_report();
std::unique_ptr<TraceReport> make_json_report();

/// What somebody who sees it for the first time has to know.
inline constexpr std::string_view trace_introduction =
    "Kernel interfaces disagree about how a connection ends: one raises RDHUP with bytes still "
    "unread, "
    "another shows a plain IN that may be bytes, the end, or a failure. pollux tells one story on "
    "all of "
    "them. Each scenario below is a claim from a published text, played just now on real sockets "
    "on "
    "every backend: in the middle the raw flags that each backend saw, on the right the events "
    "that "
    "pollux reported to the application.";
inline constexpr std::string_view trace_legend =
    "\"-> 1\": what the system call gave. \"readable(3)\": reported, and the handler read 3 bytes.";

}  // namespace pollux::tools
