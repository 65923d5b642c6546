// SPDX-License-Identifier: MIT
// The calls of a socket that listens. None waits.
#pragma once

#include <pollux/address.hpp>
#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

#include "platform/open_socket.hpp"

namespace pollux::detail::platform {

/// What accept() has said: a handle, that nobody is there, an error, or nothing: the one who was
/// there has gone again.
struct Accepted {
  NativeHandle handle = no_handle;
  Address peer = {};
  bool would_block = false;
  int error = 0;
};

/// A socket that listens at `address`.
Opened listen_at(const Address& address, int backlog, bool reuse_port, SystemCalls& calls) noexcept;
/// On what it accepts no call waits.
Accepted accept_next(NativeHandle listener, SystemCalls& calls) noexcept;
/// A descriptor that is good for nothing but to be closed; no_handle without.
NativeHandle open_spare(SystemCalls& calls) noexcept;

}  // namespace pollux::detail::platform
