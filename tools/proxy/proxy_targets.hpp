// SPDX-License-Identifier: MIT
// Where `pollux proxy` connects to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pollux/address.hpp>

#include "proxy_options.hpp"

namespace pollux::tools {

/// An address, or the name and port of a host.
struct Target {
  std::string text;
  Address address = {};   ///< none for a name
  std::string host = {};  ///< "" for an address
  std::uint16_t port = 0;
};

/// Shared by the threads, which take turns among them.
using Targets = std::shared_ptr<const std::vector<Target>>;

/// Those of the command line and of the file, one a line there; `#` begins a comment. Throws
/// UsageError for what is no target, for a file that cannot be read, and for none at all.
Targets read_targets(const ProxyOptions& options);

}  // namespace pollux::tools
