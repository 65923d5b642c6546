// SPDX-License-Identifier: MIT
#include "streams/message_sender.hpp"

#include <algorithm>
#include <array>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

namespace {

using namespace std::chrono_literals;
using platform::Exchanged;
using platform::OutgoingMessage;

/// What was gathered is sent when there is so much of it.
constexpr std::size_t much_gathered = 64 * 1024;
/// Whoever takes no more is asked again, less and less often.
constexpr std::chrono::nanoseconds first_try = 1ms;
constexpr std::chrono::nanoseconds longest_wait = 64ms;

}  // namespace

bool MessageSender::send(const OutgoingMessage& message, bool gathers,
                         std::error_code& error) noexcept {
  if (gathers && !is_full() && gather(message)) return !is_full();
  if (!waits_behind_others(message)) {
    const Exchanged sent = send_one(message);
    if (sent.error != 0 && notes_failures_ && !queue_.add_failed(message, sent.error, pool()))
      error = system_error_code(std::errc::not_enough_memory);
    if (!sent.would_block) return !error;
    wait_for_room(message);
  }
  append(message, error);
  wants_drain_ = true;
  return false;
}

bool MessageSender::gather(const OutgoingMessage& message) noexcept {
  std::error_code refused;
  if (!append(message, refused)) {
    flush();
    if (is_full() || !append(message, refused)) return false;
  }
  if (queue_.count() >= platform::most_messages || queue_.size() >= much_gathered) flush();
  return true;
}

bool MessageSender::append(const OutgoingMessage& message, std::error_code& error) noexcept {
  error.clear();
  const std::size_t cost = MessageQueue::overhead + message.bytes.size();
  if (queue_.cost() > limit_ || cost > limit_ - queue_.cost()) {
    error = system_error_code(std::errc::no_buffer_space);
  } else if (!queue_.append(message, pool())) {
    error = system_error_code(std::errc::not_enough_memory);
  }
  return !error;
}

bool MessageSender::waits_behind_others(const OutgoingMessage& message) const noexcept {
  if (queue_.empty()) return false;
  const bool has_own_room = family_ == Address::Family::unix_name && message.name != nullptr;
  return !has_own_room || queue_.has_for(message);
}

/// One message: it is sent, has failed, or there is no room.
Exchanged MessageSender::send_one(const OutgoingMessage& message) noexcept {
  const Exchanged sent = platform::send_messages(socket_, {&message, 1}, service_.calls());
  return sent.error == 0 ? sent : send_again(message, sent.error);
}

/// The error may be that of a message which was sent before: the second try says.
Exchanged MessageSender::send_again(const OutgoingMessage& message, int error) noexcept {
  SystemCalls& calls = service_.calls();
  const Exchanged sent = platform::send_messages(socket_, {&message, 1}, calls);
  const bool is_cut_off = message.name == nullptr && family_ == Address::Family::unix_name &&
                          platform::error_code(sent.error) == std::errc::not_connected;
  if (is_cut_off) {
    // The kernel ends the connection of an AF_UNIX socket whose peer has gone.
    if (platform::connect_datagram(socket_, peer_, calls) != 0) return {0, false, error};
    return platform::send_messages(socket_, {&message, 1}, calls);
  }
  if (sent.error != error && notes_failures_) earlier_error_ = error;
  return sent;
}

void MessageSender::flush() noexcept {
  std::array<OutgoingMessage, platform::most_messages> messages;
  while (!queue_.empty() && !is_full()) {
    const std::size_t count = queue_.first(messages);
    Exchanged sent = platform::send_messages(socket_, {messages.data(), count}, service_.calls());
    if (sent.count != 0) next_try_ = {};
    queue_.remove(sent.count, pool());
    if (sent.error == 0 && !sent.would_block) continue;
    const OutgoingMessage& next = messages[sent.count];
    if (sent.error != 0) sent = send_again(next, sent.error);
    if (sent.would_block) {
      wait_for_room(next);
    } else if (sent.error != 0 && notes_failures_) {
      queue_.fail_first(sent.error, pool());
    } else {
      queue_.remove(1, pool());
    }
  }
  if (held_) flush_past_who_is_full();
}

/// Each peer of an AF_UNIX socket has its own room.
void MessageSender::flush_past_who_is_full() noexcept {
  const auto send = [this](const OutgoingMessage& message) {
    const Exchanged sent = send_one(message);
    if (sent.would_block) return MessageQueue::blocked;
    return notes_failures_ ? sent.error : 0;
  };
  queue_.send_each(send, pool());
  if (queue_.empty()) held_ = false;
}

void MessageSender::wait_for_room(const OutgoingMessage& message) noexcept {
  wants_drain_ = true;
  if (family_ != Address::Family::unix_name || message.name == nullptr) {
    blocked_ = true;
    return;
  }
  held_ = true;
  next_try_ = std::clamp(2 * next_try_, first_try, longest_wait);
}

}  // namespace pollux::detail
