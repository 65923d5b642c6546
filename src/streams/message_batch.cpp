// SPDX-License-Identifier: MIT
#include "streams/message_batch.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace pollux::detail {

using platform::MessageSlot;

bool MessageBatch::make_room(std::size_t limit, BufferPool& pool) noexcept {
  // The slots first. Behind them there is room for short messages; a long one has a block to
  // itself.
  const std::size_t size = pool.block_size();
  most_ = std::clamp(size / (limit + sizeof(MessageSlot)), enough, platform::most_messages);
  for (BufferPool::Block& block : blocks_) {
    if (room_ >= enough || !(block = pool.take())) break;
    std::byte* free = block.get();
    if (slots_ == nullptr) {
      slots_ = reinterpret_cast<MessageSlot*>(free);
      free += most_ * sizeof(MessageSlot);
    }
    add_slots(free, block.get() + size, limit);
  }
  if (room_ == 0) drop(pool);
  return room_ != 0;
}

void MessageBatch::add_slots(std::byte* begin, const std::byte* end, std::size_t limit) noexcept {
  while (room_ < most_ && static_cast<std::size_t>(end - begin) >= limit) {
    auto* const slot = ::new (static_cast<void*>(slots_ + room_)) MessageSlot;
    slot->memory = begin;
    slot->room = static_cast<std::uint32_t>(limit);
    begin += limit;
    ++room_;
  }
}

Message MessageBatch::take_next() noexcept {
  const MessageSlot& slot = slots_[next_++];
  return {Bytes{slot.memory, slot.size}, Address{slot.name, slot.name_size}, slot.truncated};
}

void MessageBatch::drop(BufferPool& pool) noexcept {
  for (BufferPool::Block& block : blocks_)
    if (block) pool.give_back(std::move(block));
  slots_ = nullptr;
  room_ = 0;
  count_ = 0;
  next_ = 0;
}

}  // namespace pollux::detail
