// SPDX-License-Identifier: MIT
// How many system calls a backend or a reactor has made.
#pragma once

#include <cstdint>

namespace pollux {

/// Counts system calls, for Stats. An object that makes some is given the counter of its backend or
/// its reactor when it is made, and keeps a reference. Loop thread.
class SystemCalls {
 public:
  SystemCalls() noexcept = default;
  SystemCalls(const SystemCalls&) = delete;
  SystemCalls& operator=(const SystemCalls&) = delete;

  /// One more is made.
  void operator++() noexcept { ++made_; }
  void operator+=(unsigned calls) noexcept { made_ += calls; }
  /// How many were made.
  std::uint64_t made() const noexcept { return made_; }

 private:
  std::uint64_t made_ = 0;
};

}  // namespace pollux
