// SPDX-License-Identifier: MIT
// By itself: the kernel's own header, which has more of TCP_INFO, and <netinet/tcp.h> are at odds.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "conformance/support/system.hpp"

namespace pollux::support {

std::optional<std::uint64_t> bytes_received(NativeHandle handle) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info.tcpi_bytes_received;
}

}  // namespace pollux::support
