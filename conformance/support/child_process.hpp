// SPDX-License-Identifier: MIT
// Child processes as POSIX has them, for what has no GoogleTest: the command has these files as
// well. linux/ and portable/ implement what is not inline.
#pragma once

#include <functional>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace pollux::support {

/// Runs `child` in a child process, and waits for it: whether it said true.
inline bool in_a_child(const std::function<bool()>& child, pid_t (*fork)() = &::fork) {
  const pid_t pid = fork();
  if (pid == 0) {
    bool passed = false;
    try {
      passed = child();
    } catch (...) {
    }
    ::_exit(passed ? 0 : 1);
  }
  int status = 0;
  return pid > 0 && ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

/// How a process makes another.
struct Forking {
  const char* name;
  pid_t (*fork)();
};

/// What makes a process of this one and runs no fork handlers, where a system has that.
std::vector<Forking> forks_without_handlers();

/// in_a_child(), in a child that has all memory in common with its parent, which waits for its end;
/// true where no such child can be made.
bool in_a_child_that_shares(const std::function<bool()>& child);

/// From now on any process may hold this one as a debugger does.
void allow_debuggers() noexcept;
/// This process becomes the debugger of that one, and does not stop it. False where that is not to
/// be had.
bool hold_as_debugger(pid_t pid) noexcept;

}  // namespace pollux::support
