// SPDX-License-Identifier: MIT
// Sockets as Winsock names them: see ../posix/native_sockets.hpp.
#pragma once

#include <cerrno>
#include <climits>
#include <string>

// Before windows.h.
#include <winsock2.h>

#include <mstcpip.h>
#include <ws2tcpip.h>

#include <pollux/backend.hpp>

namespace pollux::support::native {

using Length = int;
using Polled = WSAPOLLFD;

inline constexpr int shut_read = SD_RECEIVE;
inline constexpr int shut_write = SD_SEND;
inline constexpr int shut_both = SD_BOTH;
inline constexpr int flags = 0;  // Winsock has neither; the sockets are non-blocking

/// Before the first socket. Once a process; it ends with it.
inline void start() {
  [[maybe_unused]] static const int started = [] {
    WSADATA data;
    return ::WSAStartup(MAKEWORD(2, 2), &data);
  }();
}

/// A number of Winsock's in the numbers of <cerrno>. WSAESHUTDOWN, for which <cerrno> has none, is
/// what POSIX calls a broken pipe: this side has said that it sends no more, or reads no more.
inline int error_of(int winsock) {
  switch (winsock) {
    case 0:
      return 0;
    case WSAEBADF:
    case WSAENOTSOCK:
      return EBADF;
    case WSAEWOULDBLOCK:
      return EAGAIN;
    case WSAESHUTDOWN:
      return EPIPE;
    case WSAECONNRESET:
      return ECONNRESET;
    case WSAECONNABORTED:
      return ECONNABORTED;
    case WSAECONNREFUSED:
      return ECONNREFUSED;
    case WSAETIMEDOUT:
      return ETIMEDOUT;
    case WSAENOTCONN:
      return ENOTCONN;
    case WSAEINVAL:
      return EINVAL;
    case WSAEADDRINUSE:
      return EADDRINUSE;
    case WSAEAFNOSUPPORT:
      return EAFNOSUPPORT;
    case WSAEPROTONOSUPPORT:
      return EPROTONOSUPPORT;
    case WSAEMFILE:
      return EMFILE;
    case WSAENOBUFS:
      return ENOBUFS;
    case WSAEOPNOTSUPP:
      return EOPNOTSUPP;
    case WSAENETRESET:
      return ENETRESET;
    case WSAEHOSTUNREACH:
      return EHOSTUNREACH;
    case WSAEINPROGRESS:
      return EINPROGRESS;
    default:
      return EIO;
  }
}
inline int last_error() {
  return error_of(::WSAGetLastError());
}

inline NativeHandle made_non_blocking(SOCKET socket) {
  u_long on = 1;
  if (socket != INVALID_SOCKET) ::ioctlsocket(socket, static_cast<long>(FIONBIO), &on);
  return socket;
}
inline NativeHandle open_socket(int family, int type, int protocol) {
  start();
  return made_non_blocking(::WSASocketW(family, type, protocol, nullptr, 0,
                                        WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
}
inline NativeHandle accept(NativeHandle listener) {
  return made_non_blocking(::accept(listener, nullptr, nullptr));
}
/// There is none on Windows, for pollux.
inline Length set_unix_address(sockaddr_storage& storage, const std::string&) {
  storage.ss_family = AF_UNIX;
  return sizeof storage.ss_family;
}
inline bool is_under_way(int error) {
  return error == EAGAIN;
}
inline long send(NativeHandle to, const char* bytes, std::size_t size, int more) {
  return ::send(to, bytes, static_cast<int>(size < INT_MAX ? size : INT_MAX), more);
}
inline long receive(NativeHandle from, char* bytes, std::size_t size, int more) {
  return ::recv(from, bytes, static_cast<int>(size < INT_MAX ? size : INT_MAX), more);
}
inline int set_option(NativeHandle socket, int level, int option, const void* value, Length size) {
  return ::setsockopt(socket, level, option, static_cast<const char*>(value), size);
}
inline int get_option(NativeHandle socket, int level, int option, void* value, Length* size) {
  return ::getsockopt(socket, level, option, static_cast<char*>(value), size);
}
inline int poll(Polled* polled, int timeout_ms) {
  return ::WSAPoll(polled, 1, timeout_ms);
}
/// Bytes that can be read; −1 if that cannot be asked.
inline long unread(NativeHandle handle) {
  u_long bytes = 0;
  return ::ioctlsocket(handle, static_cast<long>(FIONREAD), &bytes) == 0 ? static_cast<long>(bytes)
                                                                         : -1;
}

}  // namespace pollux::support::native
