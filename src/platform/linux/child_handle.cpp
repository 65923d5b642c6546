// SPDX-License-Identifier: MIT
// The descriptor that Linux has of a child, from 5.3 on.
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/children.hpp"

namespace pollux::detail::platform {

std::error_code Children::open([[maybe_unused]] const ChildId& id, NativeHandle& handle) noexcept {
#if defined(SYS_pidfd_open)
  ++calls_;
  // Close-on-exec by itself.
  handle = static_cast<NativeHandle>(::syscall(SYS_pidfd_open, id.pid, 0u));
#else
  handle = no_handle;
#endif
  return {};
}

void Children::close(NativeHandle handle) noexcept {
  ++calls_;
  ::close(handle);
}

}  // namespace pollux::detail::platform
