// SPDX-License-Identifier: MIT
#include "watch_table.hpp"

#include <utility>

namespace pollux::detail {

Token WatchTable::acquire(NativeHandle handle) {
  if (free_ == Slot::none) {
    chunks_.push_back(std::make_unique<Slot[]>(chunk_size));
    // Lowest index first: the table stays dense.
    for (std::uint32_t i = chunk_size; i-- > 0;) {
      Slot& fresh = chunks_.back()[i];
      fresh.next = free_;
      free_ = size_ + i;
    }
    size_ += chunk_size;
  }
  const std::uint32_t index = free_;
  Slot& taken = slot(index);
  free_ = std::exchange(taken.next, Slot::none);
  taken.used = true;
  taken.handle = handle;
  return {index, taken.generation};
}

void WatchTable::release(std::uint32_t index) noexcept {
  Slot& freed = slot(index);
  AnyHandler handler =
      std::move(freed.handler);  // its captures may unwatch others on their way out
  const std::uint32_t generation = freed.generation + 1;
  const bool changed = freed.changed;
  drop_handle(freed.handle, index);
  freed = Slot{};
  freed.generation = generation;
  freed.changed = changed;
  freed.next = std::exchange(free_, index);
}

std::uint32_t WatchTable::by_handle(NativeHandle handle) const noexcept {
  const auto position = static_cast<std::size_t>(handle);
  return handle >= 0 && position < by_handle_.size() ? by_handle_[position] : Slot::none;
}

void WatchTable::put_handle(NativeHandle handle, std::uint32_t index) {
  const auto position = static_cast<std::size_t>(handle);
  if (position >= by_handle_.size()) by_handle_.resize(position + position / 2 + 16, Slot::none);
  by_handle_[position] = index;
}

void WatchTable::drop_handle(NativeHandle handle, std::uint32_t index) noexcept {
  if (by_handle(handle) == index) by_handle_[static_cast<std::size_t>(handle)] = Slot::none;
}

}  // namespace pollux::detail
