// SPDX-License-Identifier: MIT
// `pollux proxy`: passes connections on, with every end and every reset as the other side made it.
// What it is told, on its command line and in its file of targets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pollux/address.hpp>

#include "proxy_protocol.hpp"

namespace pollux::tools {

struct ProxyOptions {
  std::string listen;
  std::vector<std::string> targets;
  std::string targets_file;  ///< read again on SIGHUP
  std::string backend;
  std::string metrics;  ///< where Prometheus may ask; empty for nowhere
  unsigned threads = 1;
  std::size_t limit = 0;  ///< of connections; 0 for none
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds{10};
  std::chrono::nanoseconds idle_timeout{0};
  std::chrono::nanoseconds half_closed_timeout{0};
  ProxyHeader send_header = ProxyHeader::none;
  bool accept_header = false;
  bool trace = false;
  bool stats = false;
};

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

/// Runs until it is told to end, by SIGTERM or SIGINT: the first lets the connections that are
/// there come to their end, the second ends them. Returns the exit status.
int proxy(const ProxyOptions& options);

}  // namespace pollux::tools
