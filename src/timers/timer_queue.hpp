// SPDX-License-Identifier: MIT
// The timers of one reactor, by deadline: a hierarchical wheel. It knows no clock.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include <pollux/detail/any_handler.hpp>

#include "base/slot_table.hpp"

namespace pollux::detail {

/// When a timer fires, and no more: all that is touched where it is armed, put off or cancelled,
/// and four of them share a line of the cache.
struct TimerTime {
  using time_point = std::chrono::steady_clock::time_point;

  time_point deadline{};              ///< the last one, if it is not armed
  std::uint64_t stamp = not_hanging;  ///< when it was armed, among the others, and the bucket

  static constexpr unsigned bucket_bits = 9;
  /// What is less is not armed.
  static constexpr std::uint64_t first_order = std::uint64_t{1} << bucket_bits;
  static constexpr std::uint64_t bucket_mask = first_order - 1;
  static constexpr std::uint32_t not_hanging = bucket_mask;
  /// Its time has come, and it is yet to be called.
  static constexpr std::uint32_t due = bucket_mask - 1;
  /// Its own handler has ended it, and it is not armed any more; its owner is yet to let it go.
  static constexpr std::uint32_t ended = bucket_mask - 2;

  bool armed() const noexcept { return stamp >= first_order; }
  bool has_ended() const noexcept { return bucket() == ended; }
  std::uint32_t bucket() const noexcept { return static_cast<std::uint32_t>(stamp & bucket_mask); }
  void set_bucket(std::uint32_t bucket) noexcept { stamp = (stamp & ~bucket_mask) | bucket; }
};

/// The rest of a timer: what it calls, and where it hangs. In one line of the cache.
struct alignas(64) TimerSlot {
  using duration = std::chrono::nanoseconds;

  AnyHandler handler;
  duration interval{};  ///< what restart() takes again; negative, the period of one that repeats
  std::uint32_t previous = no_slot;
  std::uint32_t following = no_slot;  ///< in the bucket
  std::uint32_t next = no_slot;       ///< in the list of free slots

  bool repeats() const noexcept { return interval < duration::zero(); }
  duration span() const noexcept { return repeats() ? -interval : interval; }
  void set_interval(duration span, bool repeat) noexcept {
    interval = repeat ? -span : span < duration::zero() ? duration::zero() : span;
  }
};

/// A bucket of level 0 is a tick of 2^20 ns wide (about 1 ms), one of the next level 64 times as
/// much, and so on. A timer hangs in the bucket in which its deadline is told apart from now, and
/// moves down when time comes to that bucket; in the last one, the exact nanosecond counts. So
/// arming costs the same however many timers there are, and timers fire in the order of their
/// deadlines, those of one deadline in the order in which they were armed.
///
/// Putting a deadline off is one store, and so is cancelling: the timer stays where it hangs until
/// time comes there, and arming it again for anything later than that is one store as well.
class TimerQueue : public SlotPool<TimerSlot> {
 public:
  using time_point = TimerTime::time_point;
  static constexpr time_point never = time_point::max();

  /// A timer that is not armed, with no handler. May throw std::bad_alloc, and then has changed
  /// nothing; nothing else here throws or allocates.
  std::uint32_t acquire() {
    if (is_full()) make_room(size() + chunk_size);
    return SlotPool::acquire();
  }
  /// Makes it fire at `deadline`, whatever was before. False, and nothing done, if it has ended.
  bool arm(std::uint32_t index, time_point deadline) noexcept {
    return arm_in_place(index, deadline) || arm_elsewhere(index, deadline);
  }
  /// The same where the timer hangs well already, by one store; false, and nothing done, where not.
  bool arm_in_place(std::uint32_t index, time_point deadline) noexcept {
    TimerTime& time = times_[index];
    const std::uint32_t bucket = time.bucket();
    if (deadline <= starts_[bucket]) [[unlikely]]
      return false;
    set_time(index, time, deadline, bucket);
    return true;
  }
  /// Whether it was the last.
  bool disarm(std::uint32_t index) noexcept {
    TimerTime& time = times_[index];
    if (!time.armed()) return false;
    time.stamp &= TimerTime::bucket_mask;
    return count_disarmed();
  }
  /// Disarms it for good.
  void note_ended(std::uint32_t index) noexcept;
  void destroy_handler(std::uint32_t index) noexcept;
  /// Forgets the timer. Its handler is destroyed last, when the slot is free already. The slot
  /// stays where it hangs: who gets it next may have it armed there by one store.
  void release(std::uint32_t index) noexcept {
    disarm(index);
    if (times_[index].has_ended()) times_[index].set_bucket(TimerTime::not_hanging);
    put_back(index);
    if (!slot(index).handler.forget()) destroy_handler(index);
  }

  const TimerTime& time(std::uint32_t index) const noexcept { return times_[index]; }
  /// Whether a timer armed for then may be needed before all others are. If not, arming it changes
  /// nothing for those who wait until next().
  bool is_sooner(time_point deadline) const noexcept { return deadline < next_; }
  /// Whether no timer is armed.
  bool empty() const noexcept { return armed_ == 0; }
  /// When to call collect() next: the earliest deadline. Where very many hang close together, the
  /// beginning of their bucket; time_point::min() while collected ones are yet to be called; never
  /// without any.
  time_point next() noexcept;

  /// What is due at `now` is taken, by next_due(), in order.
  void collect(time_point now) noexcept;
  /// The next that was collected and has not been cancelled or put off since; it is disarmed.
  /// no_slot if there is none.
  std::uint32_t next_due() noexcept {
    while (!due_.empty()) {
      const std::uint32_t index = due_.back().index;
      const std::uint64_t stamp = due_.back().stamp;
      due_.pop_back();
      TimerTime& time = times_[index];
      if (time.stamp != stamp) continue;
      time.stamp = TimerTime::not_hanging;
      count_disarmed();
      return index;
    }
    return no_slot;
  }

 private:
  static constexpr unsigned tick_bits = 20;
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned levels = 8;  ///< 48 bits of ticks; a clock has 43
  static constexpr std::uint32_t fan = 1u << level_bits;
  static constexpr std::uint32_t buckets = levels * fan;
  static_assert(buckets == TimerTime::bucket_mask + 1);
  /// A bucket with more timers than that is not searched for its earliest.
  static constexpr int most_searched = 64;
  /// Fewer are sorted at once.
  static constexpr std::size_t enough_to_scatter = 32;
  static constexpr std::uint32_t most_in_a_cell = 16;
  /// In place of a timer: next_ holds until time comes there.
  static constexpr std::uint32_t none_sooner = no_slot - 1;

  struct Due {
    time_point deadline;
    std::uint64_t stamp;
    std::uint32_t index;

    /// Equal deadlines: as they were armed.
    friend bool operator>(const Due& a, const Due& b) noexcept {
      return a.deadline != b.deadline ? a.deadline > b.deadline : a.stamp > b.stamp;
    }
  };

  void make_room(std::size_t timers);
  bool arm_elsewhere(std::uint32_t index, time_point deadline) noexcept;
  void set_time(std::uint32_t index, TimerTime& time, time_point deadline,
                std::uint32_t bucket) noexcept {
    if (is_sooner(deadline)) {
      next_ = deadline;
      earliest_ = index;
    }
    if (!time.armed()) ++armed_;
    orders_ += TimerTime::first_order;
    time.stamp = orders_ | bucket;
    time.deadline = deadline;
  }
  bool count_disarmed() noexcept {
    if (--armed_ != 0) return false;
    next_ = never;
    earliest_ = none_sooner;
    return true;
  }
  static std::uint64_t tick_of(time_point time) noexcept;
  std::uint32_t bucket_for(time_point deadline) const noexcept;
  /// The bucket that time comes to next; not_hanging if all are empty.
  std::uint32_t first_bucket() const noexcept;
  std::uint64_t start_of(std::uint32_t bucket) const noexcept;
  /// From its start to its last nanosecond.
  static std::chrono::nanoseconds span_of(std::uint32_t bucket) noexcept;
  void mark_empty(std::uint32_t bucket) noexcept {
    occupied_[bucket / fan] &= ~(std::uint64_t{1} << (bucket % fan));
  }
  void link(std::uint32_t index, std::uint32_t bucket) noexcept;
  void unlink(std::uint32_t index) noexcept;
  void hang_anew(std::uint32_t index) noexcept;
  bool next_holds() const noexcept;
  void find_earliest(std::uint32_t bucket) noexcept;
  void take(std::uint32_t bucket, time_point now, bool all) noexcept;
  void sort_due() noexcept;
  bool scatter_due() noexcept;

  template <class T>
  static constexpr std::array<T, buckets> all(T value) {
    std::array<T, buckets> filled{};
    filled.fill(value);
    return filled;
  }

  std::array<std::uint32_t, buckets> heads_ = all(no_slot);
  /// When time comes to a bucket that is not empty; never to those that are none.
  std::array<time_point, buckets> starts_ = all(never);
  std::array<std::uint64_t, levels> occupied_{};  ///< a bit a bucket
  std::uint64_t now_ = 0;                         ///< the tick up to which time has passed
  std::uint64_t orders_ = 0;                      ///< in steps of first_order
  std::size_t armed_ = 0;

  time_point next_ = never;               ///< no timer is earlier
  std::uint32_t earliest_ = none_sooner;  ///< the one that is due at next_, if it still is

  // By index, and room for all timers, made when they are.
  std::vector<TimerTime> times_;
  std::vector<Due> due_;        ///< the last is the next
  std::vector<Due> scattered_;  ///< while sorting very many
  std::vector<std::uint32_t> cells_;
};

}  // namespace pollux::detail
