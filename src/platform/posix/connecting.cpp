// SPDX-License-Identifier: MIT
#include "platform/connecting.hpp"

#include <cerrno>

#include <pollux/unique_handle.hpp>

#include "platform/stream_io.hpp"

namespace pollux::detail::platform {

namespace {

int bind_to(NativeHandle socket, const Address& local, SystemCalls& calls) noexcept {
  if (local.port() != 0) {
    // So that several connections may come from it, to several peers.
    if (const int error = set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1, calls)) return error;
  }
#if defined(IP_BIND_ADDRESS_NO_PORT)
  // The port is chosen with the connection, when it is known what for; before Linux 4.2, here.
  if (local.port() == 0 && local.family() != Address::Family::unix_name)
    set_option(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, calls);
#endif
  return bind_at(socket, local, calls);
}

}  // namespace

Connecting connect_to(const Address& address, const Address& local, bool no_delay,
                      SystemCalls& calls) noexcept {
  const Opened opened = open_socket(address.family(), SocketType::stream, calls);
  if (opened.error != 0) return {no_handle, false, opened.error};
  UniqueHandle socket{opened.handle};
  const bool is_unix = address.family() == Address::Family::unix_name;
  if (no_delay && !is_unix) {
    if (const int error = send_at_once(socket.get(), calls)) return {no_handle, false, error};
  }
  if (local.family() != Address::Family::none) {
    if (const int error = bind_to(socket.get(), local, calls)) return {no_handle, false, error};
  }
  ++calls;
  if (::connect(socket.get(), sockaddr_of(address), static_cast<socklen_t>(address.size())) == 0)
    return {socket.release()};
  switch (errno) {
    case EINPROGRESS:
    case EINTR:  // it goes on: connect(2) of POSIX
      return {socket.release()};
    case EAGAIN:
      // AF_UNIX on Linux: connect(2). Of TCP it says something else.
      if (is_unix) return {no_handle, true};
      [[fallthrough]];
    default:
      return {no_handle, false, errno};
  }
}

ConnectResult connect_result(NativeHandle socket, SystemCalls& calls) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  ++calls;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return {false, error};
  sockaddr_storage peer{};
  size = sizeof peer;
  ++calls;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0)
    return errno == ENOTCONN ? ConnectResult{true} : ConnectResult{false, errno};
  if (!is_connected_to_itself(socket, Address{&peer, size}, calls)) return {};
  // Without a reset it would keep the port for a while, from who wants to listen there.
  reset_on_close(socket, calls);
  return {false, ECONNREFUSED};
}

}  // namespace pollux::detail::platform
