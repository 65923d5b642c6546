// SPDX-License-Identifier: MIT
// The headers of sockets, and the calls that are alike on each system but for a name.
#pragma once

#if defined(_WIN32)
#include "platform/windows/sockets.hpp"
// In this order.
#include <afunix.h>
#include <iphlpapi.h>
#else
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif
