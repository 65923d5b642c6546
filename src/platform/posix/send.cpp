// SPDX-License-Identifier: MIT
// A send of nothing, which finds out whether a connection is over. The program has sent nothing,
// and so no SIGPIPE must come of it.
#include <cerrno>

#include <sys/socket.h>

#include "platform/platform.hpp"
#if !defined(__APPLE__)
#include "platform/posix/sigpipe.hpp"
#endif

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

long System::send_nothing(NativeHandle handle) noexcept {
  SigpipeBlocked blocked{calls_};
  ++calls_;
  const long sent = ::send(handle, "", 0, MSG_DONTWAIT);
  if (sent < 0 && errno == EPIPE) blocked.raised();
  return sent;
}

#endif

}  // namespace pollux::detail::platform
