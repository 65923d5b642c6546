// SPDX-License-Identifier: MIT
// No kernel timer: the timeout of each wait ends it when the next timer is due.
#include "platform/kernel_timer.hpp"

namespace pollux::detail::platform {

NativeHandle open_kernel_timer(std::uint64_t&) noexcept {
  return no_handle;
}

bool set_kernel_timer(NativeHandle, std::chrono::steady_clock::time_point,
                      std::uint64_t&) noexcept {
  return false;
}

void clear_kernel_timer(NativeHandle, std::uint64_t&) noexcept {}

}  // namespace pollux::detail::platform
