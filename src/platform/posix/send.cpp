// SPDX-License-Identifier: MIT
// A send into a connection that is over raises SIGPIPE, which ends a program that has not provided
// for it. Ours must not: the program has sent nothing.
#include <cerrno>
#include <csignal>
#include <ctime>

#include <pthread.h>
#include <sys/socket.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

#if defined(__APPLE__)

// Older ones than the headers do not know MSG_NOSIGNAL, and say nothing. There the signal goes to
// the process, so that blocking it in this thread is no help; but the socket has an option for it.
long System::send_nothing(NativeHandle handle) noexcept {
  const auto set_silent = [&](int silent) {
    ++calls_;
    ::setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &silent, sizeof silent);
  };
  int silent_before = 0;
  socklen_t size = sizeof silent_before;
  calls_ += 2;
  if (::getsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &silent_before, &size) != 0) return -1;
  if (silent_before == 0) set_silent(1);
  const long sent = ::send(handle, "", 0, MSG_DONTWAIT);
  const int error = errno;
  if (silent_before == 0) set_silent(0);
  errno = error;
  return sent;
}

#elif defined(MSG_NOSIGNAL) && !defined(POLLUX_PORTABLE_SYSTEM)

long System::send_nothing(NativeHandle handle) noexcept {
  ++calls_;
  return ::send(handle, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
}

#else

// The signal goes to the thread that sends: there it is blocked, and taken back. One that was
// pending before is the owner's, and stays.
long System::send_nothing(NativeHandle handle) noexcept {
  sigset_t pipe;
  sigset_t mask_before;
  sigset_t pending_before;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  calls_ += 4;
  ::pthread_sigmask(SIG_BLOCK, &pipe, &mask_before);
  ::sigpending(&pending_before);
  const long sent = ::send(handle, "", 0, MSG_DONTWAIT);
  const int error = errno;
  if (sent < 0 && error == EPIPE && ::sigismember(&pending_before, SIGPIPE) == 0) {
    const timespec no_time{};
    uninterrupted([&] { return ::sigtimedwait(&pipe, nullptr, &no_time); });
  }
  ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
  errno = error;
  return sent;
}

#endif

}  // namespace pollux::detail::platform
