// SPDX-License-Identifier: MIT
// Memory for what is read and written at the moment.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace pollux::detail {

/// Blocks of one size, of which a few are kept for the next who needs one.
class BufferPool {
 public:
  using Block = std::unique_ptr<std::byte[]>;

  /// At most `kept` unused blocks are kept. Takes no memory before the first is needed.
  BufferPool(std::size_t block_size, std::size_t kept) noexcept
      : block_size_{block_size}, kept_{kept} {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() { clear(); }

  std::size_t block_size() const noexcept { return block_size_; }
  /// Null without memory.
  Block take() noexcept {
    if (unused_ == nullptr) return Block{new (std::nothrow) std::byte[block_size_]};
    --count_;
    return Block{memory_of(std::exchange(unused_, unused_->next))};
  }
  void give_back(Block block) noexcept {
    if (count_ == kept_) return;
    ++count_;
    unused_ = ::new (static_cast<void*>(block.release())) Unused{unused_};
  }
  void clear() noexcept {
    while (unused_ != nullptr) {
      const Block block{memory_of(std::exchange(unused_, unused_->next))};
    }
    count_ = 0;
  }

 private:
  /// In the first bytes of a block that is not used.
  struct Unused {
    Unused* next;
  };

  static std::byte* memory_of(Unused* block) noexcept {
    return reinterpret_cast<std::byte*>(block);
  }

  const std::size_t block_size_;
  const std::size_t kept_;
  Unused* unused_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace pollux::detail
