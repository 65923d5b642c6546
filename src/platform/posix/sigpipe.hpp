// SPDX-License-Identifier: MIT
// A write to what nobody reads any more raises SIGPIPE, which ends a program that has not provided
// for it. What the loop writes must not.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>

#include <pthread.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

/// The signal goes to the thread that writes: while this object lives it is blocked there, and what
/// the write has raised is taken back. One that was pending before is the owner's, and stays. Keeps
/// errno.
class SigpipeBlocked {
 public:
  explicit SigpipeBlocked(SystemCalls& calls) noexcept : calls_{calls} {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    calls_ += 3;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &mask_before_);
    ::sigpending(&pending_before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    const int error = errno;
    if (raised_ && ::sigismember(&pending_before_, SIGPIPE) == 0) {
      const timespec no_time{};
      uninterrupted([&] { return ::sigtimedwait(&pipe_, nullptr, &no_time); }, calls_);
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    errno = error;
  }

  /// The write has failed with EPIPE.
  void raised() noexcept { raised_ = true; }

 private:
  SystemCalls& calls_;
  sigset_t pipe_;
  sigset_t mask_before_;
  sigset_t pending_before_;
  bool raised_ = false;
};

}  // namespace pollux::detail::platform
