// SPDX-License-Identifier: MIT
// `pollux proxy`: passes connections on, with every end and every reset as the other side made it.
#pragma once

#include "proxy_options.hpp"

namespace pollux::tools {

/// Runs until it is told to end, by SIGTERM or SIGINT: the first lets the connections that are
/// there come to their end, the second ends them. Returns the exit status.
int proxy(const ProxyOptions& options);

}  // namespace pollux::tools
