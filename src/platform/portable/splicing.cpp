// SPDX-License-Identifier: MIT
// Where the kernel moves no bytes between sockets by itself.
#include "platform/splicing.hpp"

namespace pollux::detail::platform {

bool can_splice(NativeHandle, StreamKind, NativeHandle, StreamKind, SystemCalls&) noexcept {
  return false;
}

PipeEnds open_pipe(SystemCalls&) noexcept {
  return {};
}

Moved splice_in(NativeHandle, NativeHandle, std::size_t, SystemCalls&) noexcept {
  return {};
}

Moved splice_out(NativeHandle, NativeHandle, std::size_t, SystemCalls&) noexcept {
  return {};
}

}  // namespace pollux::detail::platform
