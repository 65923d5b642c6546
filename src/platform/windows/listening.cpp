// SPDX-License-Identifier: MIT
#include "platform/listening.hpp"

#include <pollux/unique_handle.hpp>

#include "platform/windows/sockets.hpp"

namespace pollux::detail::platform {

Opened listen_at(const Address& address, int backlog, bool reuse_port,
                 SystemCalls& calls) noexcept {
  const Opened opened = open_socket(address.family(), SocketType::stream, calls);
  if (opened.error != 0) return opened;
  UniqueHandle socket{opened.handle};
  int error = reuse_port ? WSAEOPNOTSUPP : 0;
  // Here SO_REUSEADDR lets another socket listen at the port as well. Without either option one may
  // take a single address of those that a wildcard stands for.
  if (error == 0 && address.family() != Address::Family::unix_name)
    error = set_option(socket.get(), SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1, calls);
  if (error == 0 && address.family() == Address::Family::ipv6)
    error = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0, calls);
  if (error == 0) error = bind_at(socket.get(), address, calls);
  if (error == 0) {
    ++calls;
    if (::listen(socket.get(), backlog) != 0) error = ::WSAGetLastError();
  }
  return error == 0 ? Opened{socket.release()} : Opened{no_handle, error};
}

Accepted accept_next(NativeHandle listener, SystemCalls& calls) noexcept {
  sockaddr_storage peer{};
  int size = sizeof peer;
  ++calls;
  UniqueHandle socket{::accept(listener, reinterpret_cast<sockaddr*>(&peer), &size)};
  int error = 0;
  if (socket) {
    // accept() cannot be asked for either.
    ++calls;
    if (::SetHandleInformation(reinterpret_cast<HANDLE>(socket.get()), HANDLE_FLAG_INHERIT, 0) == 0)
      error = static_cast<int>(::GetLastError());
    if (error == 0) error = make_non_blocking(socket.get(), calls);
    if (error == 0) return {socket.release(), Address{&peer, static_cast<std::size_t>(size)}};
    return {no_handle, {}, false, error};
  }
  error = ::WSAGetLastError();
  switch (error) {
    case WSAEWOULDBLOCK:
      return {no_handle, {}, true};
    case WSAECONNRESET:  // of one who has gone again before it was accepted
    case WSAECONNABORTED:
      return {};
    default:
      return {no_handle, {}, false, error};
  }
}

NativeHandle open_spare(SystemCalls& calls) noexcept {
  return open_socket(Address::Family::ipv4, SocketType::stream, calls).handle;
}

}  // namespace pollux::detail::platform
