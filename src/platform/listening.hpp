// SPDX-License-Identifier: MIT
// The calls of a socket that listens. None waits.
#pragma once

#include <pollux/address.hpp>
#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

namespace pollux::detail::platform {

/// A handle, or why there is none.
struct Opened {
  NativeHandle handle = no_handle;
  int error = 0;
};

struct Accepted {
  NativeHandle handle = no_handle;
  Address peer;
  bool would_block = false;  ///< nobody is there (any more)
  int error = 0;
};

/// A socket that listens at `address`. A name of AF_UNIX at which nobody listens any more is taken
/// over.
Opened listen_at(const Address& address, int backlog, bool reuse_port, SystemCalls& calls) noexcept;
Accepted accept_next(NativeHandle listener, SystemCalls& calls) noexcept;
/// The address that a socket has; none if the system does not say.
Address own_address(NativeHandle socket, SystemCalls& calls) noexcept;
/// Takes the name of a listener away.
void remove_name(const Address& address, SystemCalls& calls) noexcept;
void send_at_once(NativeHandle socket, SystemCalls& calls) noexcept;
/// No descriptors or no memory are left: it may be better later.
bool is_exhaustion(int error) noexcept;
/// A descriptor that is good for nothing but to be closed; no_handle without.
NativeHandle open_spare(SystemCalls& calls) noexcept;

}  // namespace pollux::detail::platform
