// SPDX-License-Identifier: MIT
// What waits to be sent.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include <pollux/stream.hpp>

#include "platform/stream_io.hpp"
#include "streams/buffer_pool.hpp"
#include "streams/pipe_pool.hpp"
#include "streams/write_piece.hpp"

namespace pollux::detail {

/// Bytes in order: in blocks of a pool, in strings that were given, and in pipes. Holds no memory
/// while it is empty.
class WriteQueue {
 public:
  WriteQueue() noexcept = default;
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  /// Copies them one behind the other into one block; of `size` bytes, which is less than a block
  /// has. False, and nothing changed, without memory.
  bool append_together(std::size_t size, std::span<const Bytes> pieces, BufferPool& pool) noexcept;

  class Room;
  /// Takes the memory that append() needs for so many bytes. False, and nothing changed, without.
  bool reserve(std::size_t bytes, Room& room) const noexcept;
  /// Copies what there is room for by reserve().
  void append(Bytes bytes, Room& room) noexcept;
  /// Takes `text`. False, and nothing changed, without memory.
  bool append(std::string&& text) noexcept;
  /// Takes what is in `pipe`.
  void append(PipePool::Pipe pipe) noexcept;
  /// Null, unless the first piece is one.
  const PipePiece* first_pipe() const noexcept {
    return first_->kind == WritePiece::Kind::pipe ? static_cast<PipePiece*>(first_) : nullptr;
  }
  /// Whether first() is all of it.
  bool is_one_piece() const noexcept { return first_ == last_; }
  Bytes first() const noexcept { return {first_->begin, first_->end}; }
  /// The first pieces, as many as one write takes, up to a pipe; how many.
  std::size_t first(std::span<Bytes, platform::most_pieces> pieces) const noexcept;
  /// The first `bytes` have been sent.
  void remove(std::size_t bytes, BufferPool& pool) noexcept;
  void clear(BufferPool& pool) noexcept;

 private:
  using Piece = WritePiece;

  std::size_t room_behind_last() const noexcept {
    return last_ != nullptr ? static_cast<std::size_t>(last_->room - last_->end) : 0;
  }
  void fill(Piece& piece, Bytes& bytes) noexcept;
  static Piece* make_block(BufferPool& pool) noexcept;
  void link(Piece* piece) noexcept;
  void drop_first(BufferPool& pool) noexcept;
  static void destroy(Piece* piece, BufferPool& pool) noexcept;

  Piece* first_ = nullptr;
  Piece* last_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory between reserve() and append(). What was not needed goes back into the pool.
class WriteQueue::Room {
 public:
  explicit Room(BufferPool& pool) noexcept : pool_{pool} {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { clear(); }

 private:
  friend class WriteQueue;
  void clear() noexcept {
    while (blocks_ != nullptr) destroy(std::exchange(blocks_, blocks_->next), pool_);
  }

  BufferPool& pool_;
  Piece* blocks_ = nullptr;
};

}  // namespace pollux::detail
