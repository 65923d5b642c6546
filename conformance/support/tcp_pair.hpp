// SPDX-License-Identifier: MIT
#pragma once

#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// What make_pair() does for TCP, on every system. Throws std::system_error.
Pair make_tcp_pair(PairKind kind, Protocol protocol);

}  // namespace pollux::support
