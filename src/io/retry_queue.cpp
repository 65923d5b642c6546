// SPDX-License-Identifier: MIT
// Out of line: most watches are never retried, and their path is kept short.
#include "io/retry_queue.hpp"

#include <utility>

namespace pollux::detail {

void RetryQueue::make_room(std::size_t slots) {
  if (heap_.capacity() < slots) heap_.reserve(slots + slots / 2);
  if (places_.size() < slots) places_.resize(slots, nowhere);
}

void RetryQueue::put(time_point when, std::uint32_t slot) noexcept {
  if (places_[slot] == nowhere) {
    places_[slot] = static_cast<std::uint32_t>(heap_.size());
    heap_.push_back({when, slot});
  }
  sift(places_[slot], {when, slot});
}

void RetryQueue::remove(std::uint32_t slot) noexcept {
  const std::uint32_t place = std::exchange(places_[slot], nowhere);
  if (place == nowhere) return;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place < heap_.size()) sift(place, last);
}

void RetryQueue::sift(std::size_t place, Entry entry) noexcept {
  while (place > 0 && entry < heap_[(place - 1) / 2]) place = fill(place, (place - 1) / 2);
  for (std::size_t child; (child = 2 * place + 1) < heap_.size();) {
    if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
    if (!(heap_[child] < entry)) break;
    place = fill(place, child);
  }
  heap_[place] = entry;
  places_[entry.slot] = static_cast<std::uint32_t>(place);
}

std::size_t RetryQueue::fill(std::size_t place, std::size_t from) noexcept {
  heap_[place] = heap_[from];
  places_[heap_[place].slot] = static_cast<std::uint32_t>(place);
  return from;
}

}  // namespace pollux::detail
