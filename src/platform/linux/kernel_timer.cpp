// SPDX-License-Identifier: MIT
// The kernel timer as Linux has it: a timerfd on CLOCK_MONOTONIC, which is libstdc++'s and libc++'s
// steady_clock.
#include <algorithm>
#include <ctime>

#include <sys/timerfd.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/kernel_timer.hpp"
#include "platform/platform.hpp"

namespace pollux::detail::platform {

NativeHandle open_kernel_timer(std::uint64_t& calls) noexcept {
  ++calls;
  return ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
}

bool set_kernel_timer(NativeHandle timer, std::chrono::steady_clock::time_point time,
                      std::uint64_t& calls) noexcept {
  // Zero would turn it off, and nothing is due before the clock began.
  const auto since_start = std::max(time.time_since_epoch(), std::chrono::nanoseconds{1});
  const itimerspec spec{{}, to_timespec<timespec>(since_start)};
  ++calls;
  return ::timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0;
}

void clear_kernel_timer(NativeHandle timer, std::uint64_t& calls) noexcept {
  std::uint64_t expirations = 0;  // since it was read last (timerfd_create(2))
  uninterrupted([&] { return ::read(timer, &expirations, sizeof expirations); }, calls);
}

}  // namespace pollux::detail::platform
