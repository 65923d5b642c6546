// SPDX-License-Identifier: MIT
// Child processes for tests.
#pragma once

#include <functional>
#include <utility>

#include <csignal>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/pairs.hpp"

namespace pollux::support {

/// Runs `child` in a child process, and waits for it: whether it said true.
inline bool in_a_child(const std::function<bool()>& child) {
  const pid_t pid = ::fork();
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
