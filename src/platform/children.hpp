// SPDX-License-Identifier: MIT
// Child processes: whose they are, when they end, and how. Each adds the system calls that it takes
// to `calls`.
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/process.hpp>

namespace pollux::detail::platform {

/// `no_child_process` if `pid` is not a child of this process, or has been waited for.
std::error_code check_child(int pid, std::uint64_t& calls) noexcept;

/// A handle that becomes readable when the child ends, for close_handle(); no_handle where the
/// system has none, refuses it, or is short of descriptors.
NativeHandle open_child(int pid, std::uint64_t& calls) noexcept;

/// Waits for the child if it has ended, and says how; nothing if it has not. `handle`, if there is
/// one, says which child is meant also where another has the number by now.
std::optional<ChildExit> reap(int pid, NativeHandle handle, std::uint64_t& calls) noexcept;

}  // namespace pollux::detail::platform
