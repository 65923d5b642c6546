// SPDX-License-Identifier: MIT
// No such handle: SIGCHLD says that some child has ended.
#include "platform/children.hpp"

namespace pollux::detail::platform {

std::error_code Children::open(const ChildId&, NativeHandle& handle) noexcept {
  handle = no_handle;
  return {};
}

void Children::close(NativeHandle) noexcept {}

}  // namespace pollux::detail::platform
