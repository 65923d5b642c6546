// SPDX-License-Identifier: MIT
// The handle of a child on macOS and the BSDs: a kqueue of its own, with EVFILT_PROC, of which
// nobody ever takes the report. So it is readable, to a kqueue and to poll(), from the child's end
// on.
#include <cerrno>

#include <fcntl.h>
#include <sys/types.h>
// Behind it: on some BSDs it needs the types.
#include <sys/event.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/children.hpp"

namespace pollux::detail::platform {

std::error_code Children::open(const ChildId& id, NativeHandle& handle) noexcept {
  handle = no_handle;
  calls_ += 3;
  const int queue = ::kqueue();
  if (queue < 0) return {};
  ::fcntl(queue, F_SETFD, FD_CLOEXEC);
  struct kevent change {};
  change.ident = static_cast<decltype(change.ident)>(id.pid);
  change.filter = EVFILT_PROC;
  change.flags = EV_ADD;
  change.fflags = NOTE_EXIT;
  if (::kevent(queue, &change, 1, nullptr, 0, nullptr) != 0) {
    // ESRCH: it has ended already (macOS). SIGCHLD's way asks about it at once.
    ::close(queue);
    return {};
  }
  opened_in_ = fork_count();
  handle = queue;
  return {};
}

void Children::close(NativeHandle handle) noexcept {
  // A child of a fork inherits no kqueue: the number is free there, or another's.
  if (opened_in_ != fork_count()) return;
  ++calls_;
  ::close(handle);
}

}  // namespace pollux::detail::platform
