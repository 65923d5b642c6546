// SPDX-License-Identifier: MIT
#include "timers/timer_queue.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace pollux::detail {

void TimerQueue::make_room(std::size_t timers) {
  if (times_.capacity() < timers) {
    const std::size_t room = std::max(timers, 2 * times_.capacity());
    scattered_.reserve(room);
    cells_.reserve(room);
    due_.reserve(room);
    times_.reserve(room);  // the last: it stands for all of them
  }
  times_.resize(timers);
}

std::uint64_t TimerQueue::tick_of(time_point time) noexcept {
  const auto since = std::chrono::nanoseconds{time.time_since_epoch()}.count();
  return since <= 0 ? 0 : static_cast<std::uint64_t>(since) >> tick_bits;
}

std::uint32_t TimerQueue::bucket_for(time_point deadline) const noexcept {
  const std::uint64_t tick = std::max(tick_of(deadline), now_);
  // The highest digit (of six bits) in which the two differ says how far off it is.
  const auto differ = static_cast<unsigned>(std::bit_width((tick ^ now_) | 1u)) - 1;
  const unsigned level = differ / level_bits;
  const auto digit = static_cast<unsigned>(tick >> (level * level_bits)) & (fan - 1);
  return level * fan + digit;
}

std::uint32_t TimerQueue::first_bucket() const noexcept {
  // All buckets of a lower level come before those of a higher one, and what is past is empty.
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] != 0)
      return level * fan + static_cast<unsigned>(std::countr_zero(occupied_[level]));
  }
  return TimerTime::not_hanging;
}

std::uint64_t TimerQueue::start_of(std::uint32_t bucket) const noexcept {
  const unsigned level = bucket / fan;
  const std::uint64_t digit = bucket % fan;
  const unsigned above = (level + 1) * level_bits;
  return (now_ >> above << above) | (digit << (level * level_bits));
}

std::chrono::nanoseconds TimerQueue::span_of(std::uint32_t bucket) noexcept {
  const unsigned bits = tick_bits + bucket / fan * level_bits;
  return std::chrono::nanoseconds{(std::uint64_t{1} << bits) - 1};
}

void TimerQueue::link(std::uint32_t index, std::uint32_t bucket) noexcept {
  times_[index].set_bucket(bucket);
  TimerSlot& timer = slot(index);
  timer.previous = no_slot;
  timer.following = std::exchange(heads_[bucket], index);
  if (timer.following != no_slot) {
    slot(timer.following).previous = index;
  } else {
    occupied_[bucket / fan] |= std::uint64_t{1} << (bucket % fan);
    starts_[bucket] = time_point{std::chrono::nanoseconds{start_of(bucket) << tick_bits}};
  }
}

void TimerQueue::unlink(std::uint32_t index) noexcept {
  const std::uint32_t bucket = times_[index].bucket();
  times_[index].set_bucket(TimerTime::not_hanging);
  if (bucket >= TimerTime::ended) return;
  const TimerSlot& timer = slot(index);
  if (timer.following != no_slot) slot(timer.following).previous = timer.previous;
  if (timer.previous != no_slot) {
    slot(timer.previous).following = timer.following;
  } else {
    heads_[bucket] = timer.following;
    if (timer.following == no_slot) mark_empty(bucket);
  }
}

void TimerQueue::destroy_handler(std::uint32_t index) noexcept {
  // Its captures may end this timer on their way out, or make another in its place.
  const AnyHandler handler = std::move(slot(index).handler);
}

/// Where it does not hang, or hangs too late, or, of deadlines that are equal to a bucket's start,
/// well. At the end of the clock nothing fires.
bool TimerQueue::arm_elsewhere(std::uint32_t index, time_point deadline) noexcept {
  TimerTime& time = times_[index];
  if (time.has_ended()) return false;
  set_time(index, time, deadline, time.bucket());
  if (deadline != never) hang_anew(index);
  return true;
}

void TimerQueue::hang_anew(std::uint32_t index) noexcept {
  unlink(index);
  link(index, bucket_for(times_[index].deadline));
}

void TimerQueue::note_ended(std::uint32_t index) noexcept {
  disarm(index);
  unlink(index);
  times_[index].set_bucket(TimerTime::ended);
}

TimerQueue::time_point TimerQueue::next() noexcept {
  if (!due_.empty()) return time_point::min();
  while (!next_holds()) {
    const std::uint32_t bucket = first_bucket();
    next_ = never;
    earliest_ = none_sooner;
    if (bucket != TimerTime::not_hanging) find_earliest(bucket);
  }
  return next_;
}

bool TimerQueue::next_holds() const noexcept {
  if (earliest_ == none_sooner) return true;
  if (earliest_ == no_slot) return false;
  const TimerTime& time = times_[earliest_];
  return time.armed() && time.deadline == next_;
}

/// Sets next_ to the earliest deadline in the bucket, takes those out that were cancelled, and
/// hangs those that were put off where they belong now.
void TimerQueue::find_earliest(std::uint32_t bucket) noexcept {
  earliest_ = no_slot;
  const time_point end = starts_[bucket] + span_of(bucket);
  int searched = 0;
  for (std::uint32_t index = heads_[bucket], following = no_slot; index != no_slot;
       index = following) {
    const TimerTime& time = times_[index];
    following = slot(index).following;
    if (!time.armed()) {
      unlink(index);
    } else if (time.deadline > end) {
      hang_anew(index);
    } else {
      if (time.deadline <= next_) {
        next_ = time.deadline;
        earliest_ = index;
      }
      if (++searched == most_searched && bucket >= fan) {
        next_ = starts_[bucket];
        earliest_ = none_sooner;
        return;
      }
    }
  }
}

void TimerQueue::collect(time_point now) noexcept {
  if (armed_ == 0 || now < next_) return;
  // What an earlier turn has left: those that were cancelled or armed anew since make room.
  std::erase_if(due_, [this](const Due& due) { return times_[due.index].stamp != due.stamp; });
  const std::uint64_t now_tick = std::max(tick_of(now), now_);
  std::uint32_t bucket = TimerTime::not_hanging;
  while ((bucket = first_bucket()) != TimerTime::not_hanging) {
    const std::uint64_t start = start_of(bucket);
    if (start > now_tick) break;
    now_ = start;
    if (bucket < fan && start == now_tick) {
      take(bucket, now, false);
      break;  // what is left of this tick is yet to come
    }
    take(bucket, now, true);
  }
  now_ = now_tick;
  if (earliest_ == none_sooner) earliest_ = no_slot;
  sort_due();
}

/// Takes what is due from the bucket that time has come to; `all`: the rest hangs where it belongs
/// now, and the bucket is empty.
void TimerQueue::take(std::uint32_t bucket, time_point now, bool all) noexcept {
  std::uint32_t index = heads_[bucket];
  if (all) {
    heads_[bucket] = no_slot;
    mark_empty(bucket);
  }
  while (index != no_slot) {
    TimerTime& time = times_[index];
    const std::uint32_t following = slot(index).following;
    if (time.armed() && time.deadline <= now) {
      if (!all) unlink(index);
      time.set_bucket(TimerTime::due);
      due_.push_back({time.deadline, time.stamp, index});
    } else if (all && time.armed()) {
      link(index, bucket_for(time.deadline));
    } else if (all) {
      time.set_bucket(TimerTime::not_hanging);
    }
    index = following;
  }
}

void TimerQueue::sort_due() noexcept {
  if (std::is_sorted(due_.begin(), due_.end(), std::greater{})) return;
  if (due_.size() < enough_to_scatter || !scatter_due()) {
    std::sort(due_.begin(), due_.end(), std::greater{});
    return;
  }
  // What is left to do is within a cell.
  for (auto due = due_.begin() + 1; due != due_.end(); ++due) {
    if (!(*due > due[-1])) continue;
    const Due moved = *due;
    auto place = due;
    do {
      *place = place[-1];
      --place;
    } while (place != due_.begin() && moved > place[-1]);
    *place = moved;
  }
}

/// Puts very many nearly in order: into as many cells as there are timers, of equal widths, from
/// the last deadline back to the first. So timers that are spread cost the same each, however many
/// are due at once. False, and nothing done, where they crowd in some cell.
bool TimerQueue::scatter_due() noexcept {
  time_point first = due_.front().deadline;
  time_point last = first;
  for (const Due& due : due_) {
    first = std::min(first, due.deadline);
    last = std::max(last, due.deadline);
  }
  // Unsigned: from the beginning of time to its end is more than a duration holds.
  const auto before_last = [last](time_point time) {
    return static_cast<std::uint64_t>(last.time_since_epoch().count()) -
           static_cast<std::uint64_t>(time.time_since_epoch().count());
  };
  // Of equal types, whatever std::bit_width() gives here: what it was given, or an int (LWG 3656).
  const auto bits = static_cast<unsigned>(std::bit_width(before_last(first)));
  const auto cell_bits = static_cast<unsigned>(std::bit_width(due_.size())) - 1;
  const auto width = bits - std::min(bits, cell_bits);
  cells_.assign(std::size_t{1} << cell_bits, 0);
  const auto cell_of = [&](const Due& due) -> std::uint32_t& {
    return cells_[static_cast<std::size_t>(before_last(due.deadline) >> width)];
  };
  for (const Due& due : due_) ++cell_of(due);
  std::uint32_t sum = 0;
  std::uint32_t most = 0;
  for (std::uint32_t& cell : cells_) {
    most = std::max(most, cell);
    sum += std::exchange(cell, sum);
  }
  if (most > most_in_a_cell) return false;
  scattered_.resize(due_.size());
  for (const Due& due : due_) scattered_[cell_of(due)++] = due;
  due_.swap(scattered_);
  return true;
}

}  // namespace pollux::detail
