// SPDX-License-Identifier: MIT
// The environment, for as long as a test wants it otherwise.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

#include "conformance/support/system.hpp"

namespace pollux::support {

/// An environment variable has this value, or none (null), for as long as the object lives.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_{name} {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;
  ~EnvironmentVariable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) { set_environment(name_, value); }

  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace pollux::support
