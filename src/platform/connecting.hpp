// SPDX-License-Identifier: MIT
// The calls of a socket that connects. None waits.
#pragma once

#include <pollux/address.hpp>
#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

#include "platform/open_socket.hpp"

namespace pollux::detail::platform {

/// What has come of a connect(): an error, or that it is under way (or done: connect_result() says
/// so), or that the one who listens there has no room now, and says nothing when there is some.
struct Connecting {
  NativeHandle handle = no_handle;  ///< none behind an error
  bool is_crowded = false;
  int error = 0;
};

/// A socket that connects to `address`, from `local` if that is an address.
Connecting connect_to(const Address& address, const Address& local, bool no_delay,
                      SystemCalls& calls) noexcept;

/// How it stands with a socket that connects. Takes the pending error.
struct ConnectResult {
  bool is_under_way = false;
  int error = 0;  ///< none: it is connected
};
/// A connection that TCP has made to its own port is `connection_refused`.
ConnectResult connect_result(NativeHandle socket, SystemCalls& calls) noexcept;

/// A socket that connects to its own port finds itself (RFC 9293, simultaneous open): nobody
/// listens there.
inline bool is_connected_to_itself(NativeHandle socket, const Address& peer,
                                   SystemCalls& calls) noexcept {
  return peer.port() != 0 && own_address(socket, calls) == peer;
}

}  // namespace pollux::detail::platform
