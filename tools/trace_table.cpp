// SPDX-License-Identifier: MIT
// The trace for a terminal.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "terminal.hpp"
#include "trace_report.hpp"

namespace pollux::tools {

namespace {

constexpr std::size_t indent = 4;  // below the title, which stands behind the id
constexpr std::size_t gap = 2;
constexpr std::size_t flags_width = 8;  // "IN+RDHUP"

class TableReport final : public TraceReport {
 public:
  void begin(const Cast& cast) override {
    fmt::print("{}{}", paragraph(trace_introduction, paint_),
               paragraph(trace_legend, paint_, Style::faint));
    for (const std::string& sentence : cast.absent)
      fmt::print("{}", paragraph(sentence, paint_, Style::bad));
  }

  void add(const Played& played) override {
    const std::string verdict = played.verdict_text();
    const std::size_t room = line_width - std::min(line_width, verdict.size() + indent + gap);
    fmt::print("\n{}{}{}\n", paint_(Style::bold, fmt::format("{:{}}", played.scenario->id, indent)),
               paint_(Style::bold, fmt::format("{:{}}", played.scenario->title, room + gap)),
               paint_(played.good() ? Style::good : Style::bad, verdict));
    fmt::print("{}", paragraph(played.scenario->note, paint_, Style::faint, indent));
    for (const support::PairKind kind : played.kinds_worth_showing()) print_kind(played, kind);
    for (const std::string& complaint : played.complaints())
      fmt::print("{}", paragraph("! " + complaint, paint_, Style::bad, indent));
    std::fflush(stdout);
  }

  void end(const Summary& summary) override {
    const Style style = summary.bad.empty() ? Style::good : Style::bad;
    fmt::print("\n{}", paragraph(summary.text(), paint_, style));
  }

 private:
  void print_kind(const Played& played, support::PairKind kind) {
    const std::vector<std::string> names = players(played, kind);
    std::vector<std::size_t> widths{28, 5};
    std::vector<Cell> head{{fmt::format("on {}", to_string(kind)), Style::faint},
                           {"watch", Style::faint}};
    std::size_t used = indent + 28 + 5 + 2 * gap;
    for (const std::string& name : names) {
      widths.push_back(std::max(flags_width, name.size()));
      used += widths.back() + gap;
      head.push_back({name, Style::faint});
    }
    widths.push_back(std::max<std::size_t>(line_width - std::min(line_width, used), 20));
    head.push_back(
        {names.size() > 1 && played.verdict.same ? "reported on every backend" : "reported",
         Style::faint});

    fmt::print("{}", table_row(widths, head, paint_, indent));
    for (const TraceRow& row : trace_rows(played, kind)) {
      std::vector<Cell> cells{{row.action}, {row.watch}};
      for (const std::string& seen : row.seen)
        cells.push_back({seen, seen == "-" ? Style::faint : Style::flags});
      cells.push_back({row.delivered, !row.same   ? Style::bad
                                      : row.quiet ? Style::faint
                                                  : Style::good});
      fmt::print("{}", table_row(widths, cells, paint_, indent));
    }
  }

  Paint paint_;
};

}  // namespace

std::unique_ptr<TraceReport> make_table_report() {
  return std::make_unique<TableReport>();
}

}  // namespace pollux::tools
