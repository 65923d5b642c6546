// SPDX-License-Identifier: MIT
// Sends messages by one socket, and keeps what the kernel does not take.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include <pollux/datagram.hpp>

#include "platform/datagram_io.hpp"
#include "streams/message_queue.hpp"
#include "streams/stream_service.hpp"

namespace pollux::detail {

/// Calls no handler. What its owner has to do after a call of send() or flush(), it asks here. Loop
/// thread.
class MessageSender {
 public:
  /// No more than `limit` waits, as MessageQueue::cost() has it.
  MessageSender(StreamService& service, std::size_t limit) noexcept
      : service_{service}, limit_{limit} {}

  void use(NativeHandle socket, Address::Family family) noexcept {
    socket_ = socket;
    family_ = family;
  }
  /// Messages without an address are for `peer`, which the socket is connected to.
  void set_peer(const Address& peer) noexcept { peer_ = peer; }
  const Address& peer() const noexcept { return peer_; }
  /// Whether anybody wants to know of messages that could not be sent.
  void note_failures(bool wanted) noexcept { notes_failures_ = wanted; }

  /// `gathers`: for the next flush(), if there is room. Whether `message` does not wait for room;
  /// with an error it is not sent at all.
  bool send(const platform::OutgoingMessage& message, bool gathers,
            std::error_code& error) noexcept;
  /// Sends what waits, as far as the kernel takes it.
  void flush() noexcept;
  /// There may be room again.
  void try_again() noexcept { blocked_ = held_ = false; }

  /// The kernel takes no more, and reports when it does.
  bool is_blocked() const noexcept { return blocked_; }
  /// Somebody takes no more, and the kernel does not report when that ends: try_again() after so
  /// long.
  bool is_held() const noexcept { return held_; }
  std::chrono::nanoseconds next_try() const noexcept { return next_try_; }
  bool is_full() const noexcept { return blocked_ || held_; }
  /// Whether send() has answered false since the last time, and nothing waits now.
  bool take_drained() noexcept {
    return !is_full() && queue_.empty() && std::exchange(wants_drain_, false);
  }

  /// Whether a message has failed, or another error was found.
  bool has_errors() const noexcept { return earlier_error_ != 0 || queue_.has_failed(); }
  /// What a call was answered with, and was not its own message's; 0 for nothing.
  int take_earlier_error() noexcept { return std::exchange(earlier_error_, 0); }
  MessageQueue& queue() noexcept { return queue_; }
  const MessageQueue& queue() const noexcept { return queue_; }

 private:
  BufferPool& pool() const noexcept { return service_.write_blocks(); }
  bool append(const platform::OutgoingMessage& message, std::error_code& error) noexcept;
  bool gather(const platform::OutgoingMessage& message) noexcept;
  bool waits_behind_others(const platform::OutgoingMessage& message) const noexcept;
  platform::Exchanged send_one(const platform::OutgoingMessage& message) noexcept;
  platform::Exchanged send_again(const platform::OutgoingMessage& message, int error) noexcept;
  void flush_past_who_is_full() noexcept;
  void wait_for_room(const platform::OutgoingMessage& message) noexcept;

  StreamService& service_;
  const std::size_t limit_;
  NativeHandle socket_ = no_handle;
  Address::Family family_ = Address::Family::none;
  Address peer_;
  MessageQueue queue_;
  std::chrono::nanoseconds next_try_{};
  int earlier_error_ = 0;
  bool notes_failures_ = false;
  bool blocked_ = false;
  bool held_ = false;
  bool wants_drain_ = false;
};

}  // namespace pollux::detail
