// SPDX-License-Identifier: MIT
// Descriptors of the library's own, where a system cannot make them as they are to be at once.
#pragma once

#include <fcntl.h>

#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

namespace pollux::detail::platform {

/// The same descriptor: no call on it waits, and no program that is started inherits it.
inline NativeHandle prepared(NativeHandle handle, SystemCalls& calls) noexcept {
  if (handle == no_handle) return no_handle;
  calls += 2;
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  ::fcntl(handle, F_SETFL, O_NONBLOCK);
  return handle;
}

}  // namespace pollux::detail::platform
