// SPDX-License-Identifier: MIT
#include "watch_table.hpp"

#include <utility>

namespace pollux::detail {

Token WatchTable::acquire(NativeHandle handle) {
  const Token token = SlotTable::acquire();
  Slot& taken = slot(token.slot);
  taken.used = true;
  taken.handle = handle;
  return token;
}

void WatchTable::release(std::uint32_t index) noexcept {
  Slot& freed = slot(index);
  // Its captures may unwatch others on their way out.
  const AnyHandler handler = std::move(freed.handler);
  const bool changed = freed.changed;
  drop_handle(freed.handle, index);
  SlotTable::release(index);
  slot(index).changed = changed;
}

std::uint32_t WatchTable::by_handle(NativeHandle handle) const noexcept {
  const auto position = static_cast<std::size_t>(handle);
  return handle >= 0 && position < by_handle_.size() ? by_handle_[position] : no_slot;
}

void WatchTable::put_handle(NativeHandle handle, std::uint32_t index) {
  const auto position = static_cast<std::size_t>(handle);
  if (position >= by_handle_.size()) by_handle_.resize(position + position / 2 + 16, no_slot);
  by_handle_[position] = index;
}

void WatchTable::drop_handle(NativeHandle handle, std::uint32_t index) noexcept {
  if (by_handle(handle) == index) by_handle_[static_cast<std::size_t>(handle)] = no_slot;
}

}  // namespace pollux::detail
