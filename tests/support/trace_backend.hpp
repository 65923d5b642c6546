// SPDX-License-Identifier: MIT
// A backend that passes everything on to another and writes down what it saw.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <pollux/backend.hpp>

namespace pollux::support {

/// What passed through, in order. Waits that brought nothing are counted, not listed.
struct BackendLog {
  std::vector<RawEvent> reports;
  std::uint64_t waits = 0;
  Token last_added;  ///< of the registration that was asked for last
};

/// `log` must outlive the backend.
std::unique_ptr<Backend> trace_backend(std::unique_ptr<Backend> inner, BackendLog& log);

}  // namespace pollux::support
