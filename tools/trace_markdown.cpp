// SPDX-License-Identifier: MIT
// The trace for a document.
#include <fmt/format.h>

#include "terminal.hpp"
#include "trace_report.hpp"

namespace pollux::tools {

namespace {

class MarkdownReport final : public TraceReport {
 public:
  void begin(const Cast& cast) override {
    fmt::print("{} {}\n", trace_introduction, trace_legend);
    for (const std::string& sentence : cast.absent) fmt::print("\n{}\n", sentence);
  }

  void add(const Played& played) override {
    fmt::print("\n### {}: {}\n\n{}\n\n", played.scenario->id, played.scenario->title,
               played.scenario->note);
    for (const support::PairKind kind : played.kinds_worth_showing()) print_kind(played, kind);
    fmt::print("**{}**\n", played.verdict_text());
    for (const std::string& complaint : played.complaints()) fmt::print("\n- {}\n", complaint);
  }

  void end(const Summary& summary) override { fmt::print("\n**{}**\n", summary.text()); }

 private:
  static void print_kind(const Played& played, support::PairKind kind) {
    std::vector<std::string> head{fmt::format("on {}", to_string(kind)), "watch"};
    for (const std::string& name : players(played, kind)) head.push_back(name);
    head.emplace_back("reported");
    fmt::print("{}", markdown_head(head));
    for (const TraceRow& row : trace_rows(played, kind)) {
      std::vector<std::string> cells{row.action, row.watch};
      cells.insert(cells.end(), row.seen.begin(), row.seen.end());
      cells.push_back(row.quiet ? row.delivered : fmt::format("**{}**", row.delivered));
      fmt::print("{}", markdown_row(cells));
    }
    fmt::print("\n");
  }
};

}  // namespace

std::unique_ptr<TraceReport> make_markdown_report() {
  return std::make_unique<MarkdownReport>();
}

}  // namespace pollux::tools
