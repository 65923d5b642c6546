// SPDX-License-Identifier: MIT
#include "streams/stream_input.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace pollux::detail {

Bytes StreamInput::kept() const noexcept {
  return kept_ ? Bytes{kept_->memory.get() + kept_->begin, kept_->end - kept_->begin} : Bytes{};
}

std::span<std::byte> StreamInput::make_room(std::size_t least) noexcept {
  if (!kept_) kept_.reset(new (std::nothrow) Kept);
  if (!kept_) return {};
  const Bytes now = kept();
  if (kept_->room - kept_->end < least) {
    if (kept_->room < now.size() + least) {
      const std::size_t room = std::max(now.size() + least, 2 * now.size());
      std::unique_ptr<std::byte[]> memory{new (std::nothrow) std::byte[room]};
      if (!memory) return {};
      if (!now.empty()) std::memcpy(memory.get(), now.data(), now.size());
      kept_->memory = std::move(memory);
      kept_->room = room;
    } else {
      std::memmove(kept_->memory.get(), now.data(), now.size());
    }
    kept_->begin = 0;
    kept_->end = now.size();
  }
  return {kept_->memory.get() + kept_->end, kept_->room - kept_->end};
}

bool StreamInput::keep(Bytes rest) noexcept {
  if (kept_) {
    kept_->begin = kept_->end - rest.size();
    return true;
  }
  const std::span<std::byte> room = make_room(rest.size());
  if (room.empty()) return false;
  std::memcpy(room.data(), rest.data(), rest.size());
  add(rest.size());
  return true;
}

Bytes StreamInput::take(std::size_t most) noexcept {
  if (!kept_) return {};
  const Bytes taken = kept().first(std::min(most, kept().size()));
  kept_->begin += taken.size();
  return taken;
}

void StreamInput::forget_read() noexcept {
  if (kept_ && kept_->begin == kept_->end) kept_.reset();
}

}  // namespace pollux::detail
