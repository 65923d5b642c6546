// SPDX-License-Identifier: MIT
#include "platform/windows/sockets.hpp"

namespace pollux::detail::platform {

void start_sockets() noexcept {
  static const int started = [] {
    WSADATA data;
    return ::WSAStartup(MAKEWORD(2, 2), &data);
  }();
  static_cast<void>(started);  // what needs it says so: WSANOTINITIALISED
}

int socket_option(NativeHandle handle, int name, int& value, SystemCalls& calls) noexcept {
  int size = sizeof value;
  ++calls;
  const int result = ::getsockopt(handle, SOL_SOCKET, name, reinterpret_cast<char*>(&value), &size);
  return result == 0 ? 0 : ::WSAGetLastError();
}

int make_non_blocking(NativeHandle socket, SystemCalls& calls) noexcept {
  u_long on = 1;
  ++calls;
  return ::ioctlsocket(socket, static_cast<long>(FIONBIO), &on) == 0 ? 0 : ::WSAGetLastError();
}

}  // namespace pollux::detail::platform
