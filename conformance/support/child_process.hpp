// SPDX-License-Identifier: MIT
// A child process, for what has no GoogleTest: the command has these files as well.
#pragma once

#include <functional>

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

}  // namespace pollux::support
