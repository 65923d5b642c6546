// SPDX-License-Identifier: MIT
// Messages that were received together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <pollux/datagram.hpp>

#include "platform/datagram_io.hpp"
#include "streams/buffer_pool.hpp"

namespace pollux::detail {

/// In blocks of a pool, which it holds from make_room() to drop(). All that is known of the
/// messages is there, too: so it takes no memory to leave some of them for later.
class MessageBatch {
 public:
  MessageBatch() noexcept = default;
  MessageBatch(const MessageBatch&) = delete;
  MessageBatch& operator=(const MessageBatch&) = delete;

  /// Room for messages of `limit` bytes, which is no more than a block has: as many as a few blocks
  /// take, at least one. False, and nothing held, without memory.
  bool make_room(std::size_t limit, BufferPool& pool) noexcept;
  std::span<platform::MessageSlot> slots() const noexcept { return {slots_, room_}; }
  /// The first `count` slots have a message each.
  void came(std::size_t count) noexcept { count_ = count; }

  bool has_next() const noexcept { return next_ < count_; }
  Message take_next() noexcept;
  void drop(BufferPool& pool) noexcept;

 private:
  /// What a pool keeps at most, so that none has to be made anew.
  static constexpr std::size_t most_blocks = 4;
  /// No further block for more of them.
  static constexpr std::size_t enough = 4;

  void add_slots(std::byte* begin, const std::byte* end, std::size_t limit) noexcept;

  std::array<BufferPool::Block, most_blocks> blocks_;
  platform::MessageSlot* slots_ = nullptr;
  std::size_t most_ = 0;  ///< how many slots there is memory for
  std::size_t room_ = 0;  ///< how many have memory for a message
  std::size_t count_ = 0;
  std::size_t next_ = 0;
};

}  // namespace pollux::detail
