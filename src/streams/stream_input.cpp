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
  const std::size_t size = kept().size();
  const bool fits = kept_ && kept_->room - kept_->end >= least;
  if (!fits && kept_ && !kept_->taken && kept_->room >= size + least) {
    std::memmove(kept_->memory.get(), kept_->memory.get() + kept_->begin, size);
    kept_->begin = 0;
    kept_->end = size;
  } else if (!fits) {
    std::unique_ptr<Kept> more{new (std::nothrow) Kept};
    if (!more) return {};
    more->room = std::max(size + least, 2 * size);
    more->memory.reset(new (std::nothrow) std::byte[more->room]);
    if (!more->memory) return {};
    if (size != 0) std::memcpy(more->memory.get(), kept().data(), size);
    more->end = size;
    if (kept_ && kept_->taken) more->before = std::move(kept_);
    kept_ = std::move(more);
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
  kept_->taken = true;
  return taken;
}

void StreamInput::forget_read() noexcept {
  if (!kept_) return;
  kept_->taken = false;
  kept_->before.reset();
  if (kept_->begin == kept_->end) kept_.reset();
}

}  // namespace pollux::detail
