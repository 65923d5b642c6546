// SPDX-License-Identifier: MIT
// Messages that wait to be sent, and those that could not be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <pollux/datagram.hpp>

#include "platform/datagram_io.hpp"
#include "streams/buffer_pool.hpp"

namespace pollux::detail {

/// Whole messages in order, each with its destination, in blocks of a pool; those that are longer
/// than a block in memory of their own. Holds none while it is empty.
class MessageQueue {
 public:
  /// What a message counts as, beside its bytes.
  static constexpr std::size_t overhead = 64;
  /// Of many failures at once only so many are kept, as the kernel does.
  static constexpr std::size_t most_failed = 64;

  MessageQueue() noexcept = default;
  MessageQueue(const MessageQueue&) = delete;
  MessageQueue& operator=(const MessageQueue&) = delete;

  // What waits.

  bool empty() const noexcept { return waiting_.first == nullptr; }
  std::size_t count() const noexcept { return count_; }
  /// The bytes of the messages.
  std::size_t size() const noexcept { return size_; }
  /// What they count as.
  std::size_t cost() const noexcept { return size_ + count_ * overhead; }

  /// Copies `message`. False, and nothing changed, without memory.
  bool append(const platform::OutgoingMessage& message, BufferPool& pool) noexcept;
  /// The first messages, as many as `into` has room for; how many.
  std::size_t first(std::span<platform::OutgoingMessage> into) const noexcept;
  /// The first `count` have been sent.
  void remove(std::size_t count, BufferPool& pool) noexcept;
  /// The first could not be sent.
  void fail_first(int error, BufferPool& pool) noexcept;
  bool has_for(const platform::OutgoingMessage& other) const noexcept;
  /// Calls `send` with each message, in order, but for those whose destination has taken no more:
  /// 0 for a message that was sent, the number of an error for one that cannot be, `blocked` for a
  /// destination that takes no more.
  static constexpr int blocked = -1;
  template <class Send>
  void send_each(Send send, BufferPool& pool) noexcept {
    for (Record* one = waiting_.first; one != nullptr; one = one->next) one->is_held = false;
    Record* before = nullptr;
    for (Record* one = waiting_.first; one != nullptr;) {
      Record* const next = one->next;
      const int result = one->is_held ? blocked : send(message_of(*one));
      if (result == blocked) {
        if (!one->is_held) hold_alike(*one);
        before = one;
      } else {
        take_out(before, *one);
        result == 0 ? destroy(*one, pool) : failed(*one, result, pool);
      }
      one = next;
    }
  }

  // What could not be sent.

  bool has_failed() const noexcept { return failed_.first != nullptr; }
  /// A message for `name` could not be sent. False, and nothing noted, without memory.
  bool add_failed(const platform::OutgoingMessage& message, int error, BufferPool& pool) noexcept;
  /// The system says how long a message to that host may be.
  void note_mtu(const DatagramError& said, const Address& connected_to) noexcept;
  /// The failures so far, taken out in order by next().
  class Failures;

  void clear(BufferPool& pool) noexcept;

 private:
  struct Chunk {
    std::byte* end;   ///< of what is in use
    std::byte* room;  ///< the end of the memory
    std::size_t records;
    bool is_pooled;
  };
  /// In front of the name and the bytes.
  struct Record {
    Record* next;
    Chunk* chunk;
    std::uint32_t size;
    std::int32_t error;
    std::uint32_t mtu;
    std::uint16_t name_size;
    bool is_held;
  };
  struct List {
    Record* first = nullptr;
    Record* last = nullptr;

    void push(Record& record) noexcept;
  };

  static platform::OutgoingMessage message_of(Record& record) noexcept;
  static Address destination_of(Record& record, const Address& connected_to) noexcept;
  static bool is_alike(const platform::OutgoingMessage& a,
                       const platform::OutgoingMessage& b) noexcept;
  Record* make(const platform::OutgoingMessage& message, BufferPool& pool) noexcept;
  Chunk* chunk_with_room(std::size_t bytes, BufferPool& pool) noexcept;
  void take_out(Record* before, Record& record) noexcept;
  void failed(Record& record, int error, BufferPool& pool) noexcept;
  void destroy(Record& record, BufferPool& pool) noexcept;
  static void hold_alike(Record& record) noexcept;

  List waiting_;
  List failed_;
  Chunk* filling_ = nullptr;  ///< the last one, if it has room
  std::size_t count_ = 0;
  std::size_t size_ = 0;
  std::size_t failed_count_ = 0;
};

/// Destroys what is left of them.
class MessageQueue::Failures {
 public:
  Failures(MessageQueue& queue, BufferPool& pool) noexcept
      : queue_{queue}, pool_{pool}, taken_{std::exchange(queue.failed_, List{})} {
    queue.failed_count_ = 0;
  }
  Failures(const Failures&) = delete;
  Failures& operator=(const Failures&) = delete;
  ~Failures() {
    while (taken_.first != nullptr) pop();
  }

  /// False if there is none left.
  bool next(DatagramError& error, const Address& connected_to) noexcept;

 private:
  void pop() noexcept;

  MessageQueue& queue_;
  BufferPool& pool_;
  List taken_;
};

}  // namespace pollux::detail
