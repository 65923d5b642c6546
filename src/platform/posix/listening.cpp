// SPDX-License-Identifier: MIT
#include "platform/listening.hpp"

#include <cerrno>

#include <fcntl.h>

#include <pollux/unique_handle.hpp>

#include "platform/platform.hpp"
#include "platform/posix/prepared.hpp"

namespace pollux::detail::platform {

Opened listen_at(const Address& address, int backlog, bool reuse_port,
                 SystemCalls& calls) noexcept {
  const Opened opened = open_socket(address.family(), SocketType::stream, calls);
  if (opened.error != 0) return opened;
  UniqueHandle socket{opened.handle};
  int error = 0;
  if (address.family() != Address::Family::unix_name)
    error = set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1, calls);
  if (error == 0 && reuse_port) {
#if defined(SO_REUSEPORT)
    error = set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1, calls);
#else
    error = EOPNOTSUPP;
#endif
  }
  // `*` is all of IPv6 and IPv4, whatever the system's default is.
  if (error == 0 && address.family() == Address::Family::ipv6)
    error = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0, calls);
  if (error == 0) error = bind_at(socket.get(), address, calls);
  if (error == 0) {
    ++calls;
    if (::listen(socket.get(), backlog) != 0) error = errno;
  }
  return error == 0 ? Opened{socket.release()} : Opened{no_handle, error};
}

Accepted accept_next(NativeHandle listener, SystemCalls& calls) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  const NativeHandle handle =
      accept_prepared(listener, reinterpret_cast<sockaddr*>(&peer), &size, calls);
  if (handle != no_handle) return {handle, Address{&peer, size}};
  switch (errno) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
      return {no_handle, {}, true};
    // Of one who has gone again before it was accepted: accept(2), "Error handling".
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return {};
    default:
      return {no_handle, {}, false, errno};
  }
}

NativeHandle open_spare(SystemCalls& calls) noexcept {
  ++calls;
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace pollux::detail::platform
