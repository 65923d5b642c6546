// SPDX-License-Identifier: MIT
#include "platform/connecting.hpp"

#include <pollux/unique_handle.hpp>

#include "platform/stream_io.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux::detail::platform {

Connecting connect_to(const Address& address, const Address& local, bool no_delay,
                      SystemCalls& calls) noexcept {
  const Opened opened = open_socket(address.family(), SocketType::stream, calls);
  if (opened.error != 0) return {no_handle, false, opened.error};
  UniqueHandle socket{opened.handle};
  if (no_delay && address.family() != Address::Family::unix_name) {
    if (const int error = send_at_once(socket.get(), calls)) return {no_handle, false, error};
  }
  if (local.family() != Address::Family::none) {
    if (const int error = bind_at(socket.get(), local, calls)) return {no_handle, false, error};
  }
  ++calls;
  if (::connect(socket.get(), sockaddr_of(address), static_cast<int>(address.size())) == 0)
    return {socket.release()};
  const int error = ::WSAGetLastError();
  if (error == WSAEWOULDBLOCK) return {socket.release()};
  return {no_handle, false, error};
}

ConnectResult connect_result(NativeHandle socket, SystemCalls& calls) noexcept {
  int error = 0;
  if (const int refused = socket_option(socket, SO_ERROR, error, calls)) error = refused;
  if (error != 0) return {false, error};
  sockaddr_storage peer{};
  int size = sizeof peer;
  ++calls;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    const int why = ::WSAGetLastError();
    return why == WSAENOTCONN ? ConnectResult{true} : ConnectResult{false, why};
  }
  if (!is_connected_to_itself(socket, Address{&peer, static_cast<std::size_t>(size)}, calls))
    return {};
  reset_on_close(socket, calls);
  return {false, WSAECONNREFUSED};
}

}  // namespace pollux::detail::platform
