// SPDX-License-Identifier: MIT
// No kernel timer: the timeout of each wait ends it when the next timer is due.
#include "platform/kernel_timer.hpp"

namespace pollux::detail::platform {

bool TimerHandle::open() noexcept {
  return false;
}

void TimerHandle::close() noexcept {}

bool TimerHandle::set(std::chrono::steady_clock::time_point) noexcept {
  return false;
}

void TimerHandle::clear() noexcept {}

}  // namespace pollux::detail::platform
