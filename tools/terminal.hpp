// SPDX-License-Identifier: MIT
// Text in 100 columns: colours where somebody sees them, wrapped paragraphs, tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pollux::tools {

inline constexpr std::size_t line_width = 100;

enum class Style { plain, bold, faint, good, bad, flags };

/// Colours on a terminal, unless $NO_COLOR is set (no-color.org) or the terminal is dumb.
class Paint {
 public:
  Paint();
  std::string operator()(Style style, std::string_view text) const;

 private:
  bool on_;
};

/// Lines of at most `width` characters, broken at spaces, and before a '+' where a word is too
/// long.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// Lines of at most 100 columns, each behind `indent`.
std::string paragraph(std::string_view text, const Paint& paint, Style style = Style::plain,
                      std::size_t indent = 0);

struct Cell {
  std::string text;
  Style style = Style::plain;
};

/// One row of a table: each cell wrapped to the width of its column, two spaces between columns.
std::string table_row(const std::vector<std::size_t>& widths, const std::vector<Cell>& cells,
                      const Paint& paint, std::size_t indent);

/// One row of a Markdown table.
std::string markdown_row(const std::vector<std::string>& cells);
/// The row of names, and the line below it.
std::string markdown_head(const std::vector<std::string>& names);

}  // namespace pollux::tools
