// SPDX-License-Identifier: MIT
// A program that has, or allows itself, no more descriptors.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// While it lives, this process may have so many descriptors. Those that are open stay so.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = most;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// While it lives, this process gets no new descriptor, or only so many.
class NoDescriptorLeft {
 public:
  explicit NoDescriptorLeft(rlim_t but = 0) : limit_{lowest_free() + but} {}

 private:
  /// Descriptors are given out lowest first: no new one fits below it.
  static rlim_t lowest_free() {
    return static_cast<rlim_t>(Handle{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)}.get());
  }

  DescriptorLimit limit_;
};

}  // namespace pollux::support
