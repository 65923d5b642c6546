// SPDX-License-Identifier: MIT
// Child processes as POSIX has them, and by the descriptor that Linux has of one.
#include "platform/children.hpp"

#include <cerrno>

#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

static_assert(sizeof(pid_t) == sizeof(int));

const bool child_handles_are_readable = true;

namespace {

int look_by_pid(int pid, siginfo_t& info, int how) noexcept {
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | how);
}

int look_by_handle([[maybe_unused]] NativeHandle handle,
                   [[maybe_unused]] siginfo_t& info) noexcept {
#if defined(SYS_pidfd_open) && !defined(POLLUX_PORTABLE_SYSTEM)
  constexpr auto by_handle = static_cast<idtype_t>(3);  // P_PIDFD, which not every header has
  return ::waitid(by_handle, static_cast<id_t>(handle), &info, WEXITED | WNOHANG);
#else
  errno = EINVAL;
  return -1;
#endif
}

ChildExit::How how(const siginfo_t& info) noexcept {
  if (info.si_code == CLD_EXITED) return ChildExit::How::exited;
  return info.si_code == CLD_DUMPED ? ChildExit::How::dumped_core : ChildExit::How::signaled;
}

}  // namespace

std::error_code Children::check(ChildId& id) noexcept {
  if (id.handle) return error_code(ENOSYS);
  if (id.pid <= 0) return error_code(ECHILD);
  ++calls_;
  siginfo_t info{};
  return look_by_pid(id.pid, info, WNOWAIT) == 0 ? std::error_code{} : error_code(errno);
}

std::optional<ChildExit> Children::reap(int pid, NativeHandle handle) noexcept {
  siginfo_t info{};
  ++calls_;
  int result = handle != no_handle ? look_by_handle(handle, info) : look_by_pid(pid, info, 0);
  if (result != 0 && handle != no_handle && errno == EINVAL) {
    // Linux 5.3 has the descriptor, and 5.4 the call that takes it.
    ++calls_;
    result = look_by_pid(pid, info, 0);
  }
  if (result != 0) return ChildExit{pid, error_code(errno)};
  if (info.si_pid == 0) return std::nullopt;
  return ChildExit{pid, how(info), info.si_status};
}

}  // namespace pollux::detail::platform
