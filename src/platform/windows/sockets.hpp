// SPDX-License-Identifier: MIT
// Winsock, for the files of this folder.
#pragma once

#include <winsock2.h>
// In this order.
#include <mstcpip.h>
#include <windows.h>
#include <ws2tcpip.h>

#include <pollux/backend.hpp>

namespace pollux::detail::platform {

/// Winsock starts with the first who needs it, and lasts as long as the process.
void start_sockets() noexcept;

/// getsockopt() of an int at SOL_SOCKET: 0, or the number of the error.
int socket_option(NativeHandle handle, int name, int& value, SystemCalls& calls) noexcept;

}  // namespace pollux::detail::platform
