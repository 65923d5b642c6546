// SPDX-License-Identifier: MIT
#include "streams/write_queue.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace pollux::detail {

bool WriteQueue::append_together(std::size_t size, std::span<const Bytes> pieces,
                                 BufferPool& pool) noexcept {
  if (room_behind_last() < size) {
    Piece* const block = make_block(pool);
    if (block == nullptr) return false;
    link(block);
  }
  size_ += size;
  for (const Bytes piece : pieces) {
    if (piece.empty()) continue;
    std::memcpy(last_->end, piece.data(), piece.size());
    last_->end += piece.size();
  }
  return true;
}

bool WriteQueue::reserve(std::size_t bytes, Room& room) const noexcept {
  const std::size_t block_size = room.pool_.block_size() - sizeof(Piece);
  for (std::size_t there = room_behind_last(); there < bytes; there += block_size) {
    Piece* const block = make_block(room.pool_);
    if (block == nullptr) {
      room.clear();
      return false;
    }
    block->next = std::exchange(room.blocks_, block);
  }
  return true;
}

void WriteQueue::append(Bytes bytes, Room& room) noexcept {
  size_ += bytes.size();
  if (room_behind_last() != 0) fill(*last_, bytes);
  while (!bytes.empty()) {
    Piece* const block = std::exchange(room.blocks_, room.blocks_->next);
    block->next = nullptr;
    fill(*block, bytes);
    link(block);
  }
}

bool WriteQueue::append(std::string&& text) noexcept {
  auto* const piece = new (std::nothrow) TextPiece{std::move(text)};
  if (piece == nullptr) return false;
  size_ += piece->text.size();
  link(piece);
  return true;
}

void WriteQueue::append(PipePool::Pipe pipe) noexcept {
  size_ += pipe->bytes;
  link(pipe.release());
}

void WriteQueue::fill(Piece& piece, Bytes& bytes) noexcept {
  const std::size_t size = std::min(bytes.size(), static_cast<std::size_t>(piece.room - piece.end));
  if (size != 0) std::memcpy(piece.end, bytes.data(), size);
  piece.end += size;
  bytes = bytes.subspan(size);
}

std::size_t WriteQueue::first(std::span<Bytes, platform::most_pieces> pieces) const noexcept {
  std::size_t count = 0;
  for (const Piece* piece = first_;
       piece != nullptr && piece->kind != Piece::Kind::pipe && count < pieces.size();
       piece = piece->next)
    pieces[count++] = {piece->begin, piece->end};
  return count;
}

void WriteQueue::remove(std::size_t bytes, BufferPool& pool) noexcept {
  size_ -= bytes;
  if (first_->kind == Piece::Kind::pipe) {
    auto& pipe = static_cast<PipePiece&>(*first_);
    pipe.bytes -= bytes;
    if (pipe.bytes == 0) drop_first(pool);
    return;
  }
  while (bytes != 0) {
    const std::size_t size = std::min(bytes, static_cast<std::size_t>(first_->end - first_->begin));
    first_->begin += size;
    bytes -= size;
    if (first_->begin == first_->end) drop_first(pool);
  }
}

void WriteQueue::clear(BufferPool& pool) noexcept {
  while (first_ != nullptr) drop_first(pool);
  size_ = 0;
}

WriteQueue::Piece* WriteQueue::make_block(BufferPool& pool) noexcept {
  BufferPool::Block block = pool.take();
  if (!block) return nullptr;
  std::byte* const memory = block.release();
  auto* const piece = ::new (static_cast<void*>(memory)) Piece{Piece::Kind::block};
  piece->begin = piece->end = memory + sizeof(Piece);
  piece->room = memory + pool.block_size();
  return piece;
}

void WriteQueue::link(Piece* piece) noexcept {
  (last_ != nullptr ? last_->next : first_) = piece;
  last_ = piece;
}

void WriteQueue::drop_first(BufferPool& pool) noexcept {
  Piece* const piece = first_;
  first_ = piece->next;
  if (first_ == nullptr) last_ = nullptr;
  destroy(piece, pool);
}

void WriteQueue::destroy(Piece* piece, BufferPool& pool) noexcept {
  switch (piece->kind) {
    case Piece::Kind::block:
      return pool.give_back(BufferPool::Block{reinterpret_cast<std::byte*>(piece)});
    case Piece::Kind::text:
      delete static_cast<TextPiece*>(piece);
      return;
    case Piece::Kind::pipe: {
      PipePool::Pipe pipe{static_cast<PipePiece*>(piece)};
      return pipe->pool.give_back(std::move(pipe));
    }
  }
}

}  // namespace pollux::detail
