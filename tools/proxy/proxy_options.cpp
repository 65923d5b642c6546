// SPDX-License-Identifier: MIT
#include "proxy.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "options.hpp"

namespace pollux::tools {

namespace {

Target parse_target(const std::string& text) {
  std::error_code error;
  Target target{text, Address{text, error}};
  if (!error) return target;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon != 0) {
    target.host = text.substr(0, colon);
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, target.port);
    if (parsed.ec == std::errc{} && parsed.ptr == end && !text.starts_with("unix:")) return target;
  }
  throw UsageError{
      fmt::format("\"{}\" is no target: host:port, [address]:port or unix:path", text)};
}

}  // namespace

Targets read_targets(const ProxyOptions& options) {
  std::vector<Target> targets;
  for (const std::string& text : options.targets) targets.push_back(parse_target(text));
  if (!options.targets_file.empty()) {
    std::ifstream file{options.targets_file};
    if (!file) throw UsageError{fmt::format("{} cannot be read", options.targets_file)};
    for (std::string line; std::getline(file, line);) {
      line.erase(std::min(line.find('#'), line.size()));
      line.erase(line.find_last_not_of(" \t\r") + 1);
      line.erase(0, line.find_first_not_of(" \t"));
      if (!line.empty()) targets.push_back(parse_target(line));
    }
  }
  if (targets.empty()) throw UsageError{"no target"};
  return std::make_shared<const std::vector<Target>>(std::move(targets));
}

}  // namespace pollux::tools
