// SPDX-License-Identifier: MIT
#include "platform/datagram_io.hpp"

#include <cerrno>

#include <pollux/unique_handle.hpp>

#include "platform/platform.hpp"
#include "platform/stream_io.hpp"

namespace pollux::detail::platform {

namespace {

int allow_sharing(NativeHandle socket, SystemCalls& calls) noexcept {
#if defined(SO_REUSEPORT)
  return set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1, calls);
#else
  return EOPNOTSUPP;
#endif
}

}  // namespace

Opened open_datagram(const Address& local, Address::Family family, bool reuse_port,
                     SystemCalls& calls) noexcept {
  const bool is_bound = local.family() != Address::Family::none;
  if (is_bound) family = local.family();
  const Opened opened = open_socket(family, SocketType::datagram, calls);
  if (opened.error != 0) return opened;
  UniqueHandle socket{opened.handle};
  int error = prepare_to_move(socket.get(), StreamKind::socket, calls);
  if (error == 0 && reuse_port) error = allow_sharing(socket.get(), calls);
  // `*` is all of IPv6 and IPv4, whatever the system's default is.
  if (error == 0 && is_bound && family == Address::Family::ipv6)
    error = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0, calls);
  if (error == 0 && is_bound) error = bind_at(socket.get(), local, calls);
  return error == 0 ? Opened{socket.release()} : Opened{no_handle, error};
}

int connect_datagram(NativeHandle socket, const Address& peer, SystemCalls& calls) noexcept {
  const auto connect = [&] {
    return ::connect(socket, sockaddr_of(peer), static_cast<socklen_t>(peer.size()));
  };
  return uninterrupted(connect, calls) == 0 ? 0 : errno;
}

}  // namespace pollux::detail::platform
