// SPDX-License-Identifier: MIT
// No such handle: SIGCHLD says that some child has ended.
#include "platform/children.hpp"

namespace pollux::detail::platform {

NativeHandle Children::open(int) noexcept {
  return no_handle;
}

void Children::close(NativeHandle) noexcept {}

}  // namespace pollux::detail::platform
