// SPDX-License-Identifier: MIT
// What `pollux proxy` is told on its command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

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

}  // namespace pollux::tools
