// SPDX-License-Identifier: MIT
// No such set: what is masked is looked at from time to time.
#include "platform/edge_set.hpp"

namespace pollux::detail::platform {

bool EdgeSet::open(std::uint64_t&) noexcept {
  return false;
}

void EdgeSet::close() noexcept {}

bool EdgeSet::put(NativeHandle, RawInterest, Token, std::uint64_t&) noexcept {
  return false;
}

bool EdgeSet::remove(NativeHandle, std::uint64_t&) noexcept {
  return false;
}

std::optional<RawEvent> EdgeSet::next(std::uint64_t&) noexcept {
  return std::nullopt;
}

}  // namespace pollux::detail::platform
