// SPDX-License-Identifier: MIT
// The descriptor that Linux has of a child, from 5.3 on.
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/children.hpp"

namespace pollux::detail::platform {

NativeHandle Children::open([[maybe_unused]] int pid) noexcept {
#if defined(SYS_pidfd_open)
  ++calls_;
  return static_cast<NativeHandle>(::syscall(SYS_pidfd_open, pid, 0u));  // close-on-exec by itself
#else
  return no_handle;
#endif
}

void Children::close(NativeHandle handle) noexcept {
  ++calls_;
  ::close(handle);
}

}  // namespace pollux::detail::platform
