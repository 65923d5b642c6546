// SPDX-License-Identifier: MIT
// What AF_UNIX sockets of sockets.cpp are bound to: one file a system implements it.
#pragma once

#include <string>

#include <pollux/address.hpp>

struct sockaddr;

namespace pollux::support {

/// One that nobody has had yet; empty where the system chooses an abstract name (unix(7),
/// autobind).
std::string fresh_unix_path();
/// The same as an address: where the system would choose, an abstract name of this process's own.
Address fresh_unix_address();

/// The file that a socket leaves behind when it is closed goes, so that another of that type can be
/// bound to the path. Whoever is still bound to it stays so. (A listener gets a caller who is
/// gone.)
void release_unix_path(const sockaddr* name, int type);

}  // namespace pollux::support
