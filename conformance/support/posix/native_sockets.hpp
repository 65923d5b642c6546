// SPDX-License-Identifier: MIT
// Sockets as POSIX names them: sockets.cpp is written in these words, and in those of
// ../windows/native_sockets.hpp. The build chooses one of the two.
#pragma once

#include <cerrno>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/backend.hpp>

namespace pollux::support::native {

using Length = socklen_t;  // of an address, of an option
using Polled = pollfd;

inline constexpr int shut_read = SHUT_RD;
inline constexpr int shut_write = SHUT_WR;
inline constexpr int shut_both = SHUT_RDWR;
/// No call of a test waits, or raises a signal.
inline constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

/// Before the first socket.
inline void start() {}

/// Why the last call failed, in the numbers of <cerrno>.
inline int last_error() {
  return errno;
}
inline int error_of(int option) {
  return option;
}

/// Non-blocking, and no child's.
inline NativeHandle open_socket(int family, int type, int protocol) {
  return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}
inline NativeHandle accept(NativeHandle listener) {
  return ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
inline bool is_under_way(int error) {
  return error == EINPROGRESS;
}
inline long send(NativeHandle to, const char* bytes, std::size_t size, int more) {
  return ::send(to, bytes, size, flags | more);
}
inline long receive(NativeHandle from, char* bytes, std::size_t size, int more) {
  return ::recv(from, bytes, size, flags | more);
}
inline int set_option(NativeHandle socket, int level, int option, const void* value, Length size) {
  return ::setsockopt(socket, level, option, value, size);
}
inline int get_option(NativeHandle socket, int level, int option, void* value, Length* size) {
  return ::getsockopt(socket, level, option, value, size);
}
inline int poll(Polled* polled, int timeout_ms) {
  return ::poll(polled, 1, timeout_ms);
}
/// Bytes that can be read; −1 if that cannot be asked.
inline long unread(NativeHandle handle) {
  int bytes = 0;
  return ::ioctl(handle, FIONREAD, &bytes) == 0 ? bytes : -1;
}

}  // namespace pollux::support::native
