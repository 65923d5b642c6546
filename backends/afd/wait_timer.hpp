// SPDX-License-Identifier: MIT
// The end of a wait of up to a second to the fraction of a millisecond. The timeout of a wait is
// counted in ticks of Windows' clock, which may be 15.6 ms apart.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <windows.h>

#include <pollux/backend.hpp>

namespace pollux::detail::afd {

/// Ends an alertable wait of the thread that sets it. Without a timer of high resolution (before
/// Windows 10 of 2018) there is none, and the timeout must do. Loop thread.
class WaitTimer {
 public:
  explicit WaitTimer(SystemCalls& calls) noexcept : calls_{calls} {}
  WaitTimer(const WaitTimer&) = delete;
  WaitTimer& operator=(const WaitTimer&) = delete;
  ~WaitTimer() {
    if (timer_ != nullptr) ::CloseHandle(timer_);
  }

  /// From now on counted. False if the wait will not be ended by it: a tick is little of one that
  /// is long, and a busy loop whose timers are far away pays nothing.
  bool set(Timeout timeout) noexcept {
    constexpr std::int64_t ns_a_step = 100;
    if (timeout.is_zero() || timeout.duration() > longest) return false;
    if (!tried_) make();
    if (timer_ == nullptr) return false;
    LARGE_INTEGER due;
    due.QuadPart = -((timeout.duration().count() + ns_a_step - 1) / ns_a_step);  // from now
    ++calls_;
    return ::SetWaitableTimer(timer_, &due, 0, &expired, nullptr, FALSE) != 0;
  }
  /// An alertable wait of the owner's own is not ended by it.
  void cancel() noexcept {
    ++calls_;
    ::CancelWaitableTimer(timer_);
  }

 private:
  static constexpr std::chrono::nanoseconds longest = std::chrono::seconds{1};

  static void CALLBACK expired(void*, DWORD, DWORD) {}

  void make() noexcept {
    constexpr DWORD high_resolution = 2;  // CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
    tried_ = true;
    ++calls_;
    timer_ = ::CreateWaitableTimerExW(nullptr, nullptr, high_resolution,
                                      SYNCHRONIZE | TIMER_MODIFY_STATE);
  }

  SystemCalls& calls_;
  HANDLE timer_ = nullptr;
  bool tried_ = false;
};

}  // namespace pollux::detail::afd
