// SPDX-License-Identifier: MIT
// Sockets as POSIX names them: sockets.cpp is written in these words, and in those of
// ../windows/native_sockets.hpp. The build chooses one of the two.
#pragma once

#include <cerrno>
#include <cstddef>
#include <string>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pollux/backend.hpp>

namespace pollux::support::native {

using Length = socklen_t;  // of an address, of an option
using Polled = pollfd;

inline constexpr int shut_read = SHUT_RD;
inline constexpr int shut_write = SHUT_WR;
inline constexpr int shut_both = SHUT_RDWR;
/// No call of a test waits, or raises a signal. (Where no flag says so it is ignored: see
/// ignore_broken_pipes().)
#if defined(MSG_NOSIGNAL)
inline constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
inline constexpr int flags = MSG_DONTWAIT;
#endif

/// Before the first socket.
inline void start() {}

/// Why the last call failed, in the numbers of <cerrno>.
inline int last_error() {
  return errno;
}
inline int error_of(int option) {
  return option;
}

/// Non-blocking, and no child's: any descriptor, if there is one. (macOS has no SOCK_NONBLOCK, no
/// accept4() and no pipe2(), and FreeBSD's posix_openpt() takes no O_NONBLOCK.)
inline NativeHandle configured(NativeHandle handle) {
  if (handle < 0) return handle;  // and why stays in errno
  ::fcntl(handle, F_SETFL, O_NONBLOCK);
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  return handle;
}
inline NativeHandle open_socket(int family, int type, int protocol) {
  return configured(::socket(family, type, protocol));
}
inline NativeHandle accept(NativeHandle listener) {
  return configured(::accept(listener, nullptr, nullptr));
}
/// Of AF_UNIX, by that path, or by none: how long it is.
inline Length set_unix_address(sockaddr_storage& storage, const std::string& path) {
  auto& name = reinterpret_cast<sockaddr_un&>(storage);
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  return static_cast<Length>(offsetof(sockaddr_un, sun_path) + path.size());
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
