// SPDX-License-Identifier: MIT
// Copies of a process, for tests.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <csignal>

#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/child_process.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/system.hpp"

namespace pollux::support {

/// How a process makes another.
struct Forking {
  const char* name;
  pid_t (*fork)();
};

/// fork(), and what runs no fork handlers. That is left out, and the test says so, under an
/// emulator that does not wipe memory for a child.
inline const std::vector<Forking>& ways_to_fork() {
  static const std::vector<Forking> with_handlers = {{"fork", [] { return ::fork(); }}};
  static const bool are_all = emulator().empty() || wipes_memory_for_children();
  if (!are_all) {
    testing::Test::RecordProperty("not_played",
                                  "children made without fork handlers: this "
                                  "emulator has no MADV_WIPEONFORK that wipes");
    return with_handlers;
  }
  static const std::vector<Forking> ways = {
    {"fork", [] { return ::fork(); }},
#if defined(SYS_clone) && !defined(__s390__)
    {"clone", [] { return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
#endif
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    {"_Fork", [] { return ::_Fork(); }},
#endif
#endif
  };
  return ways;
}

/// in_a_child(), in one child after the other, each made in another way. What `child` leaves
/// outside its process the next one finds.
inline testing::AssertionResult in_each_child(const std::function<bool()>& child) {
  for (const Forking& way : ways_to_fork()) {
    if (!in_a_child(child, way.fork)) return testing::AssertionFailure() << "by " << way.name;
  }
  return testing::AssertionSuccess();
}

/// The same in a child that has all memory in common with its parent, which waits for its end;
/// true where no such child can be made.
inline bool in_a_child_that_shares(const std::function<bool()>& child) {
#if defined(CLONE_VFORK)
  struct Call {
    const std::function<bool()>& child;
    bool passed = false;
  } call{child};
  std::vector<std::max_align_t> stack(std::size_t{1} << 16);
  const auto run = [](void* called) {
    static_cast<Call*>(called)->passed = static_cast<Call*>(called)->child();
    return 0;
  };
  const pid_t pid =
      ::clone(run, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &call);
  return pid > 0 && ::waitpid(pid, nullptr, 0) == pid && call.passed;
#else
  static_cast<void>(child);
  return true;
#endif
}

}  // namespace pollux::support
