// SPDX-License-Identifier: MIT
// No such set: what is masked is looked at from time to time.
#include "platform/edge_set.hpp"

namespace pollux::detail::platform {

bool EdgeSet::open() noexcept {
  return false;
}

void EdgeSet::close() noexcept {}

bool EdgeSet::put(NativeHandle, RawInterest, Token) noexcept {
  return false;
}

bool EdgeSet::remove(NativeHandle) noexcept {
  return false;
}

std::optional<RawEvent> EdgeSet::next() noexcept {
  return std::nullopt;
}

}  // namespace pollux::detail::platform
