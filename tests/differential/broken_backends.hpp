// SPDX-License-Identifier: MIT
// Backends that are wrong in one way each: what the engine and the conformance tests have to catch.
#pragma once

#include <vector>

#include "conformance/engine/explorer.hpp"

namespace pollux::differential {

/// The best backend that can be used here: what the broken ones are made of.
Contestant sound_contestant();

/// Each on the best backend here: one that claims to be believed on everything, and then loses,
/// repeats, reorders, confuses or makes up a report, or ignores what it is asked. (Two reports for
/// different descriptors may come in any order; two for one must not.)
std::vector<Contestant> broken_contestants();

/// What takes more than one watch, the third pace, or one of the operations beyond the core. The
/// conformance tests see some of them.
std::vector<Contestant> broken_for_longer_histories();

/// What a history of one stream cannot show: it takes another stream, another thread or an unusual
/// state. Caught by the conformance tests alone.
std::vector<Contestant> broken_beyond_one_stream();

}  // namespace pollux::differential
