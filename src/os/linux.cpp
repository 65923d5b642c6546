// SPDX-License-Identifier: MIT
// What Linux has of its own: the TCP state, the eventfd, and epoll's own word on devices.
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "os/os.hpp"

namespace pollux {

std::error_code WakeHandle::open() noexcept {
  const int made = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (made < 0) return detail::os::error_code(errno);
  read_ = write_ = made;
  return {};
}

namespace detail::os {

PeerFin probe_peer_fin(NativeHandle handle, std::uint64_t& calls) noexcept {
  // The state is the first byte of tcp_info; the kernel fills as much as fits (tcp(7)). Any other
  // protocol refuses the level (AF_UNIX: EOPNOTSUPP).
  std::uint8_t state = 0;
  socklen_t size = sizeof state;
  const auto ask = [&] { return ::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &state, &size); };
  if (uninterrupted(ask, calls) != 0) return PeerFin::untellable;
  switch (state) {
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK:
    case TCP_CLOSING:
    case TCP_TIME_WAIT:
      return PeerFin::received;
    case TCP_CLOSE:
      // FINs both ways, or a reset: that leaves an error, which poll shows and leaves where it is.
      return (look(handle, 0, calls) & POLLERR) != 0 ? PeerFin::closed : PeerFin::received;
    default:
      return PeerFin::not_received;
  }
}

}  // namespace detail::os

}  // namespace pollux
