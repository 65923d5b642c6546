// SPDX-License-Identifier: MIT
// The kernel timer as Linux has it: a timerfd on CLOCK_MONOTONIC, which is libstdc++'s and libc++'s
// steady_clock.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <utility>

#include <sys/timerfd.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/kernel_timer.hpp"
#include "platform/platform.hpp"

namespace pollux::detail::platform {

bool TimerHandle::open() noexcept {
  ++calls_;
  handle_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  return handle_ != no_handle;
}

void TimerHandle::close() noexcept {
  if (handle_ == no_handle) return;
  ++calls_;
  ::close(std::exchange(handle_, no_handle));
}

bool TimerHandle::set(std::chrono::steady_clock::time_point time) noexcept {
  // Zero would turn it off, and nothing is due before the clock began.
  const auto since_start = std::max(time.time_since_epoch(), std::chrono::nanoseconds{1});
  const itimerspec spec{{}, to_timespec<timespec>(since_start)};
  ++calls_;
  return ::timerfd_settime(handle_, TFD_TIMER_ABSTIME, &spec, nullptr) == 0;
}

void TimerHandle::clear() noexcept {
  std::uint64_t expirations = 0;  // since it was read last (timerfd_create(2))
  uninterrupted([&] { return ::read(handle_, &expirations, sizeof expirations); }, calls_);
}

}  // namespace pollux::detail::platform
