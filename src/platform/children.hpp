// SPDX-License-Identifier: MIT
// Child processes: whose they are, when they end, and how.
#pragma once

#include <optional>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/process.hpp>

namespace pollux::detail::platform {

/// Whether the handle of a child can be watched like any other. If not, the system raises
/// child_signal when a child ends for which a handle is open, and there always is one.
extern const bool child_handles_are_readable;

/// Loop thread.
class Children {
 public:
  explicit Children(SystemCalls& calls) noexcept : calls_{calls} {}

  /// `no_child_process` if `pid` is not a child of this process, or has been waited for.
  std::error_code check(int pid) noexcept;
  /// A handle of the child, for close(), which child_handles_are_readable is about; no_handle where
  /// the system has none, refuses it, or is short of descriptors.
  NativeHandle open(int pid) noexcept;
  void close(NativeHandle handle) noexcept;
  /// Waits for the child if it has ended, and says how; nothing if it has not. `handle`, if there
  /// is one, says which child is meant also where another has the number by now.
  std::optional<ChildExit> reap(int pid, NativeHandle handle) noexcept;

 private:
  SystemCalls& calls_;
};

}  // namespace pollux::detail::platform
