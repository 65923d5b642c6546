// SPDX-License-Identifier: MIT
// A handle that becomes readable at a given time, where the system has one.
#pragma once

#include <chrono>
#include <cstdint>

#include <pollux/backend.hpp>

namespace pollux::detail::platform {

/// For close_handle(). no_handle where there is no such thing, or the process is short of
/// descriptors.
NativeHandle open_kernel_timer(std::uint64_t& calls) noexcept;

/// From `time` on, by std::chrono::steady_clock, the handle is readable, until it is set again or
/// quieted. False if the system refuses.
bool set_kernel_timer(NativeHandle timer, std::chrono::steady_clock::time_point time,
                      std::uint64_t& calls) noexcept;

/// The handle is not readable any more.
void clear_kernel_timer(NativeHandle timer, std::uint64_t& calls) noexcept;

}  // namespace pollux::detail::platform
