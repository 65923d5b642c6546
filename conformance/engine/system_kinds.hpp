// SPDX-License-Identifier: MIT
// What the connections of connections.hpp need of the system: posix_kinds.cpp or windows_kinds.cpp,
// which the build chooses among. Both have also what of connections.hpp is each system's own.
#pragma once

#include "conformance/engine/history.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::differential {

inline constexpr int most_callers = 64;  // more than a history connects

/// Of a kind that is neither TCP nor UDP. Throws std::system_error.
support::Pair make_of_this_system(Kind kind);
support::Pair swapped(support::Pair pair);

// Over MPTCP, on loopback. Throw std::system_error.
support::Handle make_mptcp_listener();
support::Handle connect_mptcp(const support::Handle& listener);

}  // namespace pollux::differential
