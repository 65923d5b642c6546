// SPDX-License-Identifier: MIT
// The end of a child process.
#pragma once

#include <cstdint>
#include <system_error>

#include <pollux/detail/registration.hpp>

namespace pollux {

/// A process by the handle that its owner has: a `HANDLE` of Windows. Other systems have none.
using ProcessHandle = void*;

/// What has become of a child: it exited, or a signal ended it, or it is not known (error()).
class ChildExit {
 public:
  /// The way in which a child has ended.
  enum class How : std::uint8_t { exited, signaled, dumped_core };

  /// `value` is the exit code or the signal.
  ChildExit(int pid, How how, int value) noexcept : pid_{pid}, how_{how}, value_{value} {}
  /// `error` is why it is not known.
  ChildExit(int pid, std::error_code error) noexcept : pid_{pid}, error_{error} {}

  /// The child.
  int pid() const noexcept { return pid_; }

  /// It called exit(), or returned from main().
  bool exited() const noexcept { return !error_ && how_ == How::exited; }
  /// What it said then; 0 if it didn't exit.
  int exit_code() const noexcept { return exited() ? value_ : 0; }

  /// A signal ended it.
  bool signaled() const noexcept { return !error_ && how_ != How::exited; }
  /// Which; 0 if none did.
  int term_signal() const noexcept { return signaled() ? value_ : 0; }
  /// Whether it left a core file.
  bool core_dumped() const noexcept { return !error_ && how_ == How::dumped_core; }

  /// Why its status is not known: `no_child_process` if somebody else has waited for it, or the
  /// process ignores SIGCHLD, so that the kernel keeps none.
  std::error_code error() const noexcept { return error_; }

 private:
  int pid_;
  How how_ = How::exited;
  int value_ = 0;
  std::error_code error_;
};

/// The watch of a child process, made by Reactor::on_child_exit(). Its handler runs in the loop's
/// thread, once. pollux has just waited for the child then: do not wait for it yourself. If the
/// watch or the reactor is destroyed first, pollux does not reap the child; to call waitpid() is
/// your job then.
///
/// Linux reports a child's end through a descriptor of the child (pidfd_open(2), since 5.3). Where
/// there is none, or none can be had, pollux watches SIGCHLD as long as it has to, with what
/// SignalWatch says about that, and checks each of the children that it watches: it never waits for
/// any other.
///
/// On Windows pollux has a handle of its own of the process from the beginning on, so that its
/// number is nobody else's, and closes it when the watch has called its handler or ends. Nobody
/// reaps there: each reactor that watches the process gets its code, and so does an owner who has a
/// handle left. A child that was ended by another process has exited with the code that was given
/// to it.
///
/// It ends with the object, which may be moved. All members: loop thread, and harmless when the
/// reactor is gone.
class ChildWatch : private detail::Registration<detail::Registered::process> {
 public:
  /// Watches nothing.
  ChildWatch() noexcept = default;

  /// Ends the watch: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself. The child is left as it is.
  void reset() noexcept { end(); }

  /// Whether this object holds a watch that has not been ended: true also after the
  /// handler was called, and when the reactor is gone.
  explicit operator bool() const noexcept { return is_live(); }

 private:
  friend class Reactor;
  friend class detail::LentWatch<ChildWatch>;
  using Registration::Registration;
};

}  // namespace pollux
