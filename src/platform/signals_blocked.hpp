// SPDX-License-Identifier: MIT
// For threads of the library's own.
#pragma once

#if !defined(_WIN32)
#include <csignal>
#endif

namespace pollux::detail::platform {

/// While it lives, this thread gets no signals. A thread that it starts never gets any: the
/// program's signal handlers run in the program's threads.
class SignalsBlocked {
 public:
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
#if defined(_WIN32)  // where a signal gets a thread of its own
  SignalsBlocked() noexcept {}
  ~SignalsBlocked() {}
#else
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
#endif
};

}  // namespace pollux::detail::platform
