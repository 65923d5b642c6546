// SPDX-License-Identifier: MIT
#include "timer_queue.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace pollux::detail {

std::uint64_t TimerQueue::tick_of(time_point time) noexcept {
  const auto since = std::chrono::nanoseconds{time.time_since_epoch()}.count();
  return since <= 0 ? 0 : static_cast<std::uint64_t>(since) >> tick_bits;
}

std::uint16_t TimerQueue::bucket_for(time_point deadline) const noexcept {
  const std::uint64_t tick = std::max(tick_of(deadline), now_);
  // The highest digit (of six bits) in which the two differ says how far off it is.
  const auto differ = static_cast<unsigned>(std::bit_width((tick ^ now_) | 1u)) - 1;
  const unsigned level = differ / level_bits;
  const auto digit = static_cast<unsigned>(tick >> (level * level_bits)) & (fan - 1);
  return static_cast<std::uint16_t>(level * fan + digit);
}

std::uint16_t TimerQueue::first_bucket() const noexcept {
  // All buckets of a lower level come before those of a higher one, and what is past is empty.
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] != 0)
      return static_cast<std::uint16_t>(level * fan +
                                        static_cast<unsigned>(std::countr_zero(occupied_[level])));
  }
  return TimerSlot::idle;
}

std::uint64_t TimerQueue::start_of(std::uint16_t bucket) const noexcept {
  const unsigned level = bucket / fan;
  const std::uint64_t digit = bucket % fan;
  const unsigned above = (level + 1) * level_bits;
  return (now_ >> above << above) | (digit << (level * level_bits));
}

void TimerQueue::link(std::uint32_t index, std::uint16_t bucket) noexcept {
  TimerSlot& timer = slot(index);
  timer.bucket = bucket;
  timer.previous = no_slot;
  timer.next = heads_[bucket];
  if (timer.next != no_slot) slot(timer.next).previous = index;
  heads_[bucket] = index;
  occupied_[bucket / fan] |= std::uint64_t{1} << (bucket % fan);
}

void TimerQueue::unlink(std::uint32_t index) noexcept {
  TimerSlot& timer = slot(index);
  const std::uint16_t bucket = std::exchange(timer.bucket, TimerSlot::idle);
  if (bucket >= TimerSlot::due) return;
  if (timer.next != no_slot) slot(timer.next).previous = timer.previous;
  if (timer.previous != no_slot) {
    slot(timer.previous).next = timer.next;
  } else {
    heads_[bucket] = timer.next;
    if (timer.next == no_slot) occupied_[bucket / fan] &= ~(std::uint64_t{1} << (bucket % fan));
  }
}

/// False if that is where it hangs already.
bool TimerQueue::move_to_where_it_belongs(std::uint32_t index, std::uint16_t from) noexcept {
  const std::uint16_t bucket = bucket_for(slot(index).deadline);
  if (bucket == from) return false;
  unlink(index);
  link(index, bucket);
  return true;
}

void TimerQueue::arm(std::uint32_t index, time_point deadline) noexcept {
  TimerSlot& timer = slot(index);
  timer.order = ++orders_;
  const bool hangs = timer.bucket < TimerSlot::due;
  if (hangs && timer.deadline == next_) next_known_ = false;
  if (hangs && deadline >= timer.deadline) {
    timer.deadline = deadline;  // moved when time comes to where it hangs
    return;
  }
  if (!timer.armed()) ++armed_;
  unlink(index);
  timer.deadline = deadline;
  link(index, bucket_for(deadline));
  if (deadline < next_) {
    next_ = deadline;
    // Unknown was known to be no earlier than that.
    next_known_ = true;
  }
}

void TimerQueue::disarm(std::uint32_t index) noexcept {
  TimerSlot& timer = slot(index);
  if (!timer.armed()) return;
  if (timer.deadline == next_) next_known_ = false;
  unlink(index);
  --armed_;
}

void TimerQueue::release(std::uint32_t index) noexcept {
  disarm(index);
  // Its captures may end other timers on their way out.
  const AnyHandler handler = std::move(slot(index).handler);
  SlotTable::release(index);
}

TimerQueue::time_point TimerQueue::next() noexcept {
  if (due_taken_ < due_.size()) return time_point::min();
  while (!next_known_) {
    const std::uint16_t bucket = first_bucket();
    if (bucket == TimerSlot::idle) {
      next_ = never;
      next_known_ = true;
    } else {
      next_known_ = find_earliest(bucket);
    }
  }
  return next_;
}

/// Sets next_ to the earliest deadline in the bucket, and hangs those that were put off where they
/// belong now. False if none is left in it.
bool TimerQueue::find_earliest(std::uint16_t bucket) noexcept {
  next_ = never;
  int searched = 0;
  for (std::uint32_t index = heads_[bucket]; index != no_slot;) {
    const std::uint32_t following = slot(index).next;
    if (!move_to_where_it_belongs(index, bucket)) next_ = std::min(next_, slot(index).deadline);
    if (++searched == most_searched && bucket >= fan) {
      next_ = time_point{std::chrono::nanoseconds{start_of(bucket) << tick_bits}};
      return true;
    }
    index = following;
  }
  return heads_[bucket] != no_slot;
}

void TimerQueue::collect(time_point now) {
  if (armed_ == 0 || (next_known_ && now < next_)) return;
  const std::uint64_t now_tick = std::max(tick_of(now), now_);
  std::uint16_t bucket = TimerSlot::idle;
  while ((bucket = first_bucket()) != TimerSlot::idle) {
    const std::uint64_t start = start_of(bucket);
    if (start > now_tick) break;
    now_ = start;
    next_known_ = false;
    for (std::uint32_t index = heads_[bucket], following = no_slot; index != no_slot;
         index = following) {
      TimerSlot& timer = slot(index);
      following = timer.next;
      if (timer.deadline <= now) {
        due_.push_back({timer.deadline, timer.order, index});
        unlink(index);
        timer.bucket = TimerSlot::due;
      } else {
        move_to_where_it_belongs(index, bucket);
      }
    }
    if (bucket < fan && start == now_tick) break;  // what is left of this tick is yet to come
  }
  now_ = now_tick;
  std::ranges::sort(due_.begin() + static_cast<std::ptrdiff_t>(due_taken_), due_.end(), {},
                    [](const Due& due) { return std::tie(due.deadline, due.order); });
}

std::optional<std::uint32_t> TimerQueue::next_due() noexcept {
  while (due_taken_ < due_.size()) {
    const Due& next = due_[due_taken_++];
    TimerSlot& timer = slot(next.index);
    if (timer.bucket != TimerSlot::due || timer.order != next.order) continue;
    timer.bucket = TimerSlot::idle;
    --armed_;
    return next.index;
  }
  due_.clear();
  due_taken_ = 0;
  return std::nullopt;
}

}  // namespace pollux::detail
