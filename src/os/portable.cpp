// SPDX-License-Identifier: MIT
// What POSIX systems without a file of their own get: a pipe to wake with, and no TCP state.
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "os/os.hpp"

namespace pollux {

std::error_code WakeHandle::open() noexcept {
  int ends[2];
  if (::pipe(ends) != 0) return detail::os::error_code(errno);
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  read_ = ends[0];
  write_ = ends[1];
  return {};
}

namespace detail::os {

PeerFin probe_peer_fin(NativeHandle, std::uint64_t&) noexcept {
  return PeerFin::untellable;
}

}  // namespace detail::os

}  // namespace pollux
