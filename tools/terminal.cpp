// SPDX-License-Identifier: MIT
#include "terminal.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "conformance/support/system.hpp"

namespace pollux::tools {

namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

/// How much of `word` goes into a line of `width`: all of it, or up to a '+', or what fits.
std::size_t fitting(std::string_view word, std::size_t width) {
  if (word.size() <= width) return word.size();
  const std::size_t plus = word.rfind('+', width);
  return plus != word.npos && plus > 0 ? plus : width;
}

}  // namespace

Paint::Paint() {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view{terminal} == "dumb";
  on_ = support::is_terminal_output() && !is_set("NO_COLOR") && !dumb;
}

std::string Paint::operator()(Style style, std::string_view text) const {
  std::string_view code;
  switch (style) {
    case Style::plain:
      break;
    case Style::bold:
      code = "1";
      break;
    case Style::faint:
      code = "2";
      break;
    case Style::good:
      code = "32";
      break;
    case Style::bad:
      code = "1;31";
      break;
    case Style::flags:
      code = "33";
      break;
  }
  if (!on_ || code.empty() || text.empty()) return std::string{text};
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find_first_of(" \n"));
    const bool ends_line = text.substr(word.size()).starts_with('\n');
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width)
      lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    for (std::size_t part = fitting(word, width); part < word.size(); part = fitting(word, width)) {
      lines.back() += word.substr(0, part);
      word.remove_prefix(part);
      lines.emplace_back();
    }
    lines.back() += word;
    if (ends_line) lines.emplace_back();
  }
  return lines;
}

std::string paragraph(std::string_view text, const Paint& paint, Style style, std::size_t indent) {
  std::string result;
  for (const std::string& line : wrap(text, line_width - indent))
    result += std::string(indent, ' ') + paint(style, line) + '\n';
  return result;
}

std::string table_row(const std::vector<std::size_t>& widths, const std::vector<Cell>& cells,
                      const Paint& paint, std::size_t indent) {
  std::vector<std::vector<std::string>> wrapped;
  std::size_t height = 1;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    wrapped.push_back(wrap(cells[column].text, widths[column]));
    height = std::max(height, wrapped.back().size());
  }
  std::string rows;
  for (std::size_t line = 0; line < height; ++line) {
    std::string row(indent, ' ');
    std::size_t missing = 0;  // no spaces at the end of a line
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string text = line < wrapped[column].size() ? wrapped[column][line] : "";
      if (!text.empty()) row += std::string(missing, ' ') + paint(cells[column].style, text);
      missing = (text.empty() ? missing : 0) + widths[column] - text.size() + 2;
    }
    rows += row + '\n';
  }
  return rows;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) {
    row += ' ';
    for (const char c : cell) row += c == '\n' ? "<br>" : std::string(1, c);
    row += " |";
  }
  return row + '\n';
}

std::string markdown_head(const std::vector<std::string>& names) {
  return markdown_row(names) + markdown_row(std::vector<std::string>(names.size(), "---"));
}

}  // namespace pollux::tools
