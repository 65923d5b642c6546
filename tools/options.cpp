// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

namespace pollux::tools {

namespace {

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::size_t find(std::string_view wanted, std::span<const std::string_view> available,
                 std::string_view what) {
  for (std::size_t i = 0; i < available.size(); ++i) {
    if (same_word(wanted, available[i])) return i;
  }
  const std::string names = available.size() > 10
                                ? fmt::format("{} to {}", available.front(), available.back())
                                : list(available);
  throw UsageError{fmt::format("unknown {} \"{}\"; there are {}", what, wanted, names)};
}

}  // namespace

Format parse_format(std::string_view name) {
  constexpr std::array<std::string_view, 3> names = {"table", "markdown", "json"};
  return static_cast<Format>(find(name, names, "format"));
}

std::string list(std::span<const std::string_view> names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<bool> choose(std::span<const std::string> wanted,
                         std::span<const std::string_view> available, std::string_view what) {
  std::vector<bool> chosen(available.size(), wanted.empty());
  for (const std::string& name : wanted) chosen[find(name, available, what)] = true;
  return chosen;
}

}  // namespace pollux::tools
