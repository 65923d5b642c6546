// SPDX-License-Identifier: MIT
// A program that has, or allows itself, no more descriptors. Where a system has no such limit
// (can_limit_descriptors() of system.hpp), these do nothing.
#pragma once

#include <cstddef>

namespace pollux::support {

/// While it lives, this process may have so many descriptors. Those that are open stay so.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(std::size_t most);
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit();

 private:
  std::size_t before_ = 0;
};

/// While it lives, this process gets no new descriptor, or only so many.
class NoDescriptorLeft {
 public:
  explicit NoDescriptorLeft(std::size_t but = 0) : limit_{lowest_free() + but} {}

 private:
  /// Descriptors are given out lowest first: no new one fits below it.
  static std::size_t lowest_free();

  DescriptorLimit limit_;
};

}  // namespace pollux::support
