// SPDX-License-Identifier: MIT
#include "platform/open_socket.hpp"

#include <array>

#include <pollux/unique_handle.hpp>

#include "platform/windows/sockets.hpp"

namespace pollux::detail::platform {

Opened open_socket(Address::Family family, SocketType type, SystemCalls& calls) noexcept {
  int domain = AF_UNIX;
  if (family == Address::Family::none) return {no_handle, WSAEINVAL};
  if (family == Address::Family::ipv4) domain = AF_INET;
  if (family == Address::Family::ipv6) domain = AF_INET6;
  start_sockets();
  ++calls;
  UniqueHandle socket{::WSASocketW(domain, type == SocketType::stream ? SOCK_STREAM : SOCK_DGRAM, 0,
                                   nullptr, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT)};
  if (!socket) return {no_handle, ::WSAGetLastError()};
  if (const int error = make_non_blocking(socket.get(), calls)) return {no_handle, error};
  return {socket.release()};
}

int set_option(NativeHandle socket, int level, int name, int value, SystemCalls& calls) noexcept {
  ++calls;
  const int result = ::setsockopt(socket, level, name, reinterpret_cast<const char*>(&value),
                                  static_cast<int>(sizeof value));
  return result == 0 ? 0 : ::WSAGetLastError();
}

Address own_address(NativeHandle socket, SystemCalls& calls) noexcept {
  sockaddr_storage own{};
  int size = sizeof own;
  ++calls;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return {&own, static_cast<std::size_t>(size)};
}

Address peer_address(NativeHandle socket, SystemCalls& calls) noexcept {
  sockaddr_storage peer{};
  int size = sizeof peer;
  ++calls;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  return {&peer, static_cast<std::size_t>(size)};
}

// A name of AF_UNIX stays with whoever has it. Whether that one is still there only a connection
// would show, of which it would hear: a socket of another type, which it would not, there is none.
int bind_at(NativeHandle socket, const Address& address, SystemCalls& calls) noexcept {
  ++calls;
  const int result = ::bind(socket, sockaddr_of(address), static_cast<int>(address.size()));
  return result == 0 ? 0 : ::WSAGetLastError();
}

void remove_name(const Address& address, SystemCalls& calls) noexcept {
  if (address.family() != Address::Family::unix_name) return;
  std::array<wchar_t, sizeof(sockaddr_un::sun_path)> path{};
  // In UTF-8, whatever the code page of the process is.
  const char* const name = static_cast<const sockaddr_un*>(address.data())->sun_path;
  if (::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, path.data(),
                            static_cast<int>(path.size())) == 0)
    return;
  ++calls;
  ::DeleteFileW(path.data());
}

}  // namespace pollux::detail::platform
