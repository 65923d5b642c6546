// SPDX-License-Identifier: MIT
// A socket of the library's own.
#pragma once

#include <cstdint>

#include <pollux/address.hpp>
#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

#include "platform/socket_headers.hpp"

namespace pollux::detail::platform {

enum class SocketType : std::uint8_t { stream, datagram };

/// A handle, or why there is none.
struct Opened {
  NativeHandle handle = no_handle;
  int error = 0;
};

/// A socket on which no call waits, and that no program which is started inherits. `invalid
/// argument` for no address.
Opened open_socket(Address::Family family, SocketType type, SystemCalls& calls) noexcept;
/// From now on no call on it waits: 0, or the number of the error.
int make_non_blocking(NativeHandle handle, SystemCalls& calls) noexcept;
/// setsockopt() of an int: 0, or the number of the error.
int set_option(NativeHandle socket, int level, int name, int value, SystemCalls& calls) noexcept;
/// The address that a socket has; none if the system does not say.
Address own_address(NativeHandle socket, SystemCalls& calls) noexcept;
/// The address that it is connected to; none likewise.
Address peer_address(NativeHandle socket, SystemCalls& calls) noexcept;
/// Gives the socket its own address: 0, or the number of the error. A name of AF_UNIX that a socket
/// has left behind is taken over.
int bind_at(NativeHandle socket, const Address& address, SystemCalls& calls) noexcept;
/// Takes the name of an AF_UNIX socket away.
void remove_name(const Address& address, SystemCalls& calls) noexcept;

/// Small segments do not wait for the answer to the one before: 0, or the number of the error.
inline int send_at_once(NativeHandle socket, SystemCalls& calls) noexcept {
  return set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, calls);
}

inline const sockaddr* sockaddr_of(const Address& address) noexcept {
  return static_cast<const sockaddr*>(address.data());
}

}  // namespace pollux::detail::platform
