// SPDX-License-Identifier: MIT
// Child processes: whose they are, when they end, and how.
#pragma once

#include <optional>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/process.hpp>

namespace pollux::detail::platform {

/// Which process is meant: by its number, or by a handle of its owner's.
struct ChildId {
  int pid = 0;  ///< check() fills it in for a handle
  std::optional<ProcessHandle> handle = std::nullopt;
};

/// Whether the handle of a child can be watched like any other. If not, the system raises
/// child_signal when a child ends for which a handle is open, and there always is one.
extern const bool child_handles_are_readable;

/// Loop thread.
class Children {
 public:
  explicit Children(SystemCalls& calls) noexcept : calls_{calls} {}

  /// `no_child_process` if the number is not a child's of this process, or has been waited for.
  /// What a system's handles of processes may be is said at Reactor::on_child_exit();
  /// `function_not_supported` where it has none.
  std::error_code check(ChildId& id) noexcept;
  /// Makes `handle` one of the child that check() has found, for close(), which
  /// child_handles_are_readable is about; no_handle where the system has none, refuses it, or is
  /// short of descriptors. An error only where a child cannot be watched without.
  std::error_code open(const ChildId& id, NativeHandle& handle) noexcept;
  void close(NativeHandle handle) noexcept;
  /// Waits for the child if it has ended, and says how; nothing if it has not. `handle`, if there
  /// is one, says which child is meant also where another has the number by now.
  std::optional<ChildExit> reap(int pid, NativeHandle handle) noexcept;

 private:
  SystemCalls& calls_;
  /// The fork_count() of the process whose handles there are, where a fork does not inherit them.
  [[maybe_unused]] unsigned opened_in_ = 0;
};

}  // namespace pollux::detail::platform
