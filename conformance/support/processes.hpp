// SPDX-License-Identifier: MIT
// Child processes for tests.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <csignal>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/emulator.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// How a process makes another.
struct Forking {
  const char* name;
  pid_t (*fork)();
};

/// What makes a process of this one and runs no fork handlers, where a system has that.
std::vector<Forking> forks_without_handlers();

/// fork(), and those. They are left out, and the test says so, under an emulator that does not wipe
/// memory for a child.
inline const std::vector<Forking>& ways_to_fork() {
  static const std::vector<Forking> with_handlers = {{"fork", [] { return ::fork(); }}};
  static const bool are_all = emulator().empty() || wipes_memory_for_children();
  if (!are_all) {
    testing::Test::RecordProperty("not_played",
                                  "children made without fork handlers: this "
                                  "emulator has no MADV_WIPEONFORK that wipes");
    return with_handlers;
  }
  static const std::vector<Forking> ways = [] {
    std::vector<Forking> all = with_handlers;
    for (const Forking& way : forks_without_handlers()) all.push_back(way);
    return all;
  }();
  return ways;
}

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

/// The same, in one child after the other, each made in another way. What `child` leaves outside
/// its process the next one finds.
inline testing::AssertionResult in_each_child(const std::function<bool()>& child) {
  for (const Forking& way : ways_to_fork()) {
    if (!in_a_child(child, way.fork)) return testing::AssertionFailure() << "by " << way.name;
  }
  return testing::AssertionSuccess();
}

/// The same in a child that has all memory in common with its parent, which waits for its end;
/// true where no such child can be made.
bool in_a_child_that_shares(const std::function<bool()>& child);

/// From now on any process may hold this one as a debugger does.
void allow_debuggers() noexcept;
/// This process becomes the debugger of that one, and does not stop it. False where that is not to
/// be had.
bool hold_as_debugger(pid_t pid) noexcept;

/// What holds children back until it is opened.
class Gate {
 public:
  /// Comes back when it is open. For the child, which by this gives up its own hold of the gate.
  void pass() {
    pipe_.peer.close();
    pollfd open{pipe_.local.get(), POLLIN, 0};
    ::poll(&open, 1, -1);
  }
  void open() { pipe_.peer.close(); }

 private:
  Pair pipe_ = make_pair(PairKind::pipe);
};

/// A child process that does as it is told and then exits. Whoever has not been waited for at the
/// end is killed, and waited for.
class ChildProcess {
 public:
  explicit ChildProcess(const std::function<int()>& code) : pid_{::fork()} {
    if (pid_ == 0) ::_exit(code());
  }
  explicit ChildProcess(int code) : ChildProcess{[code] { return code; }} {}
  ChildProcess(Gate& gate, int code) : ChildProcess{[&gate, code] { return gate.pass(), code; }} {}
  ChildProcess(ChildProcess&& other) noexcept : pid_{std::exchange(other.pid_, -1)} {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() {
    if (pid_ > 0 && is_there()) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  pid_t pid() const noexcept { return pid_; }
  void kill(int signo) const { ::kill(pid_, signo); }

  /// Comes back when it is dead. It can still be waited for then.
  void await_death() const {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  /// Whether nobody has waited for it yet.
  bool is_there() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  }

 private:
  pid_t pid_;
};

}  // namespace pollux::support
