// SPDX-License-Identifier: MIT
// What POSIX systems without a file of their own get: a pipe to wake with, and no TCP state.
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "os/os.hpp"

namespace pollux {

WakeHandle::WakeHandle(std::error_code& error) noexcept : read_{-1}, write_{-1} {
  int ends[2];
  if (::pipe(ends) != 0) {
    error = detail::os::error_code(errno);
    return;
  }
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  read_ = ends[0];
  write_ = ends[1];
  error.clear();
}

namespace detail::os {

PeerFin probe_peer_fin(NativeHandle) noexcept {
  return PeerFin::untellable;
}

bool can_watch_device(NativeHandle handle) noexcept {
  return ::isatty(handle) != 0;
}

}  // namespace detail::os

}  // namespace pollux
