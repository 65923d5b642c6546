// SPDX-License-Identifier: MIT
// Sockets of the library's own: no call on them waits, and no program that is started has them.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>

#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

#if defined(__APPLE__) || defined(POLLUX_PORTABLE_SYSTEM)

/// The same descriptor. (It is not made so at once: a fork in between takes it along.)
inline NativeHandle prepared(NativeHandle handle, SystemCalls& calls) noexcept {
  if (handle == no_handle) return no_handle;
  calls += 2;
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  ::fcntl(handle, F_SETFL, O_NONBLOCK);
  return handle;
}

inline NativeHandle make_prepared(int domain, int type, SystemCalls& calls) noexcept {
  ++calls;
  return prepared(::socket(domain, type, 0), calls);
}

inline NativeHandle accept_prepared(NativeHandle listener, sockaddr* peer, socklen_t* size,
                                    SystemCalls& calls) noexcept {
  return prepared(uninterrupted([&] { return ::accept(listener, peer, size); }, calls), calls);
}

#else

inline NativeHandle make_prepared(int domain, int type, SystemCalls& calls) noexcept {
  ++calls;
  return ::socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

inline NativeHandle accept_prepared(NativeHandle listener, sockaddr* peer, socklen_t* size,
                                    SystemCalls& calls) noexcept {
  return uninterrupted(
      [&] { return ::accept4(listener, peer, size, SOCK_CLOEXEC | SOCK_NONBLOCK); }, calls);
}

#endif

}  // namespace pollux::detail::platform
