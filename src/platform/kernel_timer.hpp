// SPDX-License-Identifier: MIT
// A handle that becomes readable at a given time, where the system has one.
#pragma once

#include <chrono>

#include <pollux/backend.hpp>

namespace pollux::detail::platform {

class TimerHandle {
 public:
  explicit TimerHandle(SystemCalls& calls) noexcept : calls_{calls} {}
  TimerHandle(const TimerHandle&) = delete;
  TimerHandle& operator=(const TimerHandle&) = delete;
  ~TimerHandle() { close(); }

  /// False where there is no such thing, or the process is short of descriptors.
  bool open() noexcept;
  void close() noexcept;
  /// no_handle while it is not open.
  NativeHandle handle() const noexcept { return handle_; }

  /// From `time` on, by std::chrono::steady_clock, the handle is readable, until it is set again or
  /// cleared. False if the system refuses.
  bool set(std::chrono::steady_clock::time_point time) noexcept;
  /// The handle is not readable any more.
  void clear() noexcept;

 private:
  SystemCalls& calls_;
  NativeHandle handle_ = no_handle;
};

}  // namespace pollux::detail::platform
