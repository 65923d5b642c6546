// SPDX-License-Identifier: MIT
// `pollux trace`: every scenario on every backend, live.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace pollux::tools {

/// Names; none of a sort means all of them.
struct TraceOptions {
  std::vector<std::string> scenarios;
  std::vector<std::string> backends;
  std::vector<std::string> kinds;
  Format format = Format::table;
};

/// Returns the exit status: 0 if all backends delivered the same story everywhere, and the expected
/// one.
int trace(const TraceOptions& options);

}  // namespace pollux::tools
