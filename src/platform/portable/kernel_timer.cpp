// SPDX-License-Identifier: MIT
// No alarm: the timeout of each wait sees to it that timers are in time.
#include "platform/kernel_timer.hpp"

namespace pollux::detail::platform {

NativeHandle open_alarm(std::uint64_t&) noexcept {
  return no_handle;
}

bool set_alarm(NativeHandle, std::chrono::steady_clock::time_point, std::uint64_t&) noexcept {
  return false;
}

void quiet_alarm(NativeHandle, std::uint64_t&) noexcept {}

}  // namespace pollux::detail::platform
