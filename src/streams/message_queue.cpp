// SPDX-License-Identifier: MIT
#include "streams/message_queue.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "platform/platform.hpp"

namespace pollux::detail {

namespace {

constexpr std::size_t round_up(std::size_t size) noexcept {
  constexpr std::size_t unit = alignof(std::max_align_t);
  return (size + unit - 1) / unit * unit;
}

}  // namespace

bool MessageQueue::append(const platform::OutgoingMessage& message, BufferPool& pool) noexcept {
  Record* const record = make(message, pool);
  if (record == nullptr) return false;
  waiting_.push(*record);
  ++count_;
  size_ += record->size;
  return true;
}

std::size_t MessageQueue::first(std::span<platform::OutgoingMessage> into) const noexcept {
  std::size_t count = 0;
  for (Record* one = waiting_.first; one != nullptr && count < into.size(); one = one->next)
    into[count++] = message_of(*one);
  return count;
}

void MessageQueue::remove(std::size_t count, BufferPool& pool) noexcept {
  for (; count != 0; --count) {
    Record& first = *waiting_.first;
    take_out(nullptr, first);
    destroy(first, pool);
  }
}

void MessageQueue::fail_first(int error, BufferPool& pool) noexcept {
  Record& first = *waiting_.first;
  take_out(nullptr, first);
  failed(first, error, pool);
}

bool MessageQueue::has_for(const platform::OutgoingMessage& other) const noexcept {
  Record* one = waiting_.first;
  while (one != nullptr && !is_alike(message_of(*one), other)) one = one->next;
  return one != nullptr;
}

bool MessageQueue::add_failed(const platform::OutgoingMessage& message, int error,
                              BufferPool& pool) noexcept {
  Record* const record = make({{}, message.name, message.name_size}, pool);
  if (record == nullptr) return false;
  failed(*record, error, pool);
  return true;
}

void MessageQueue::note_mtu(const DatagramError& said, const Address& connected_to) noexcept {
  for (Record* one = failed_.first; one != nullptr; one = one->next) {
    const bool is_meant = platform::error_code(one->error) == said.code &&
                          platform::is_same_host(destination_of(*one, connected_to), said.peer);
    if (is_meant) one->mtu = said.mtu;
  }
}

void MessageQueue::clear(BufferPool& pool) noexcept {
  remove(count_, pool);
  const Failures dropped{*this, pool};
}

bool MessageQueue::Failures::next(DatagramError& error, const Address& connected_to) noexcept {
  if (taken_.first == nullptr) return false;
  Record& first = *taken_.first;
  error = {platform::error_code(first.error),
           destination_of(first, connected_to),
           {},
           DatagramError::Origin::local,
           first.mtu};
  pop();
  return true;
}

void MessageQueue::Failures::pop() noexcept {
  Record& first = *taken_.first;
  taken_.first = first.next;
  queue_.destroy(first, pool_);
}

platform::OutgoingMessage MessageQueue::message_of(Record& record) noexcept {
  const auto* const name = reinterpret_cast<const std::byte*>(&record + 1);
  return {Bytes{name + record.name_size, record.size}, record.name_size != 0 ? name : nullptr,
          record.name_size};
}

Address MessageQueue::destination_of(Record& record, const Address& connected_to) noexcept {
  const platform::OutgoingMessage message = message_of(record);
  return message.name != nullptr ? Address{message.name, message.name_size} : connected_to;
}

bool MessageQueue::is_alike(const platform::OutgoingMessage& a,
                            const platform::OutgoingMessage& b) noexcept {
  return a.name_size == b.name_size &&
         (a.name_size == 0 || std::memcmp(a.name, b.name, a.name_size) == 0);
}

MessageQueue::Record* MessageQueue::make(const platform::OutgoingMessage& message,
                                         BufferPool& pool) noexcept {
  const std::size_t bytes = round_up(sizeof(Record) + message.name_size + message.bytes.size());
  Chunk* const chunk = chunk_with_room(bytes, pool);
  if (chunk == nullptr) return nullptr;
  auto* const record = ::new (static_cast<void*>(chunk->end)) Record{};
  record->chunk = chunk;
  record->size = static_cast<std::uint32_t>(message.bytes.size());
  record->name_size = static_cast<std::uint16_t>(message.name_size);
  auto* const name = reinterpret_cast<std::byte*>(record + 1);
  if (message.name_size != 0) std::memcpy(name, message.name, message.name_size);
  if (record->size != 0) std::memcpy(name + message.name_size, message.bytes.data(), record->size);
  chunk->end += bytes;
  ++chunk->records;
  return record;
}

MessageQueue::Chunk* MessageQueue::chunk_with_room(std::size_t bytes, BufferPool& pool) noexcept {
  constexpr std::size_t head = round_up(sizeof(Chunk));
  if (filling_ != nullptr && static_cast<std::size_t>(filling_->room - filling_->end) >= bytes)
    return filling_;
  const bool fits = head + bytes <= pool.block_size();
  const std::size_t size = fits ? pool.block_size() : head + bytes;
  BufferPool::Block block =
      fits ? pool.take() : BufferPool::Block{new (std::nothrow) std::byte[size]};
  if (!block) return nullptr;
  std::byte* const memory = block.release();
  auto* const chunk =
      ::new (static_cast<void*>(memory)) Chunk{memory + head, memory + size, 0, fits};
  // The one before goes with its last message. One that is full at once is not worth remembering.
  if (fits) filling_ = chunk;
  return chunk;
}

void MessageQueue::take_out(Record* before, Record& record) noexcept {
  (before != nullptr ? before->next : waiting_.first) = record.next;
  if (waiting_.last == &record) waiting_.last = before;
  --count_;
  size_ -= record.size;
}

void MessageQueue::failed(Record& record, int error, BufferPool& pool) noexcept {
  if (failed_count_ == most_failed) return destroy(record, pool);
  ++failed_count_;
  record.error = error;
  failed_.push(record);
}

void MessageQueue::destroy(Record& record, BufferPool& pool) noexcept {
  Chunk* const chunk = record.chunk;
  if (--chunk->records != 0) return;
  if (filling_ == chunk) filling_ = nullptr;
  BufferPool::Block block{reinterpret_cast<std::byte*>(chunk)};
  if (chunk->is_pooled) pool.give_back(std::move(block));
}

void MessageQueue::hold_alike(Record& record) noexcept {
  const platform::OutgoingMessage message = message_of(record);
  for (Record* one = &record; one != nullptr; one = one->next)
    one->is_held |= is_alike(message_of(*one), message);
}

void MessageQueue::List::push(Record& record) noexcept {
  record.next = nullptr;
  (last != nullptr ? last->next : first) = &record;
  last = &record;
}

}  // namespace pollux::detail
