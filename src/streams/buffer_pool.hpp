// SPDX-License-Identifier: MIT
// Memory for what is read and written at the moment.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace pollux::detail {

/// Blocks of one size, of which a few are kept for the next who needs one.
class BufferPool {
 public:
  using Block = std::unique_ptr<std::byte[]>;

  /// At most `kept` unused blocks are kept. Takes no memory before the first is needed.
  BufferPool(std::size_t block_size, std::size_t kept) noexcept
      : block_size_{block_size}, kept_{kept} {}

  std::size_t block_size() const noexcept { return block_size_; }
  /// Null without memory.
  Block take() noexcept {
    if (unused_.empty()) return Block{new (std::nothrow) std::byte[block_size_]};
    Block block = std::move(unused_.back());
    unused_.pop_back();
    return block;
  }
  void give_back(Block block) noexcept {
    if (unused_.size() == kept_ || !make_room()) return;
    unused_.push_back(std::move(block));
  }
  void clear() noexcept { unused_.clear(); }

 private:
  bool make_room() noexcept try {
    unused_.reserve(kept_);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }

  const std::size_t block_size_;
  const std::size_t kept_;
  std::vector<Block> unused_;
};

}  // namespace pollux::detail
