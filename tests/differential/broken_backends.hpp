// SPDX-License-Identifier: MIT
// Backends that are wrong in one way each: what the engine has to catch.
#pragma once

#include <vector>

#include "differential/explorer.hpp"

namespace pollux::differential {

/// Each on the best backend here: one that claims to be believed on everything, and then loses,
/// repeats, confuses or makes up a report, or ignores what it is asked.
std::vector<Contestant> broken_contestants();

}  // namespace pollux::differential
