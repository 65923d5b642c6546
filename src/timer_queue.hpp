// SPDX-License-Identifier: MIT
// The timers of one reactor, by deadline: a hierarchical wheel. It knows no clock.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include <pollux/handler.hpp>

#include "slot_table.hpp"

namespace pollux::detail {

/// One timer. `generation` and `next` as SlotTable wants them.
struct TimerSlot {
  using time_point = std::chrono::steady_clock::time_point;

  AnyHandler handler;
  time_point deadline{};
  std::chrono::nanoseconds interval{};  ///< from arming to firing; what restart() takes again
  std::uint64_t order = 0;              ///< when it was armed, among the others
  std::uint32_t generation = 0;
  std::uint32_t previous = no_slot;
  std::uint32_t next = no_slot;
  std::uint16_t bucket = idle;
  bool repeats = false;

  static constexpr std::uint16_t idle = 0xFFFF;  ///< will not fire
  static constexpr std::uint16_t due = 0xFFFE;   ///< its time has come, and it is yet to be called

  bool armed() const noexcept { return bucket != idle; }
};

/// A bucket of level 0 is a tick of 2^20 ns wide (about 1 ms), one of the next level 64 times as
/// much, and so on. A timer hangs in the bucket in which its deadline is told apart from now, and
/// moves down when time comes to that bucket; in the last one, the exact nanosecond counts. So
/// arming and cancelling cost the same however many timers there are, and timers fire in the order
/// of their deadlines, those of one deadline in the order in which they were armed.
///
/// Putting a deadline off is one store: the timer stays where it hangs until time comes there.
class TimerQueue : public SlotTable<TimerSlot> {
 public:
  using time_point = TimerSlot::time_point;
  static constexpr time_point never = time_point::max();

  /// Makes it fire at `deadline`, whatever was before. Allocates nothing.
  void arm(std::uint32_t index, time_point deadline) noexcept;
  void disarm(std::uint32_t index) noexcept;
  /// Forgets the timer. Its handler is destroyed last, when the slot is free already.
  void release(std::uint32_t index) noexcept;

  /// Whether no timer is armed.
  bool empty() const noexcept { return armed_ == 0; }
  /// When to call collect() next: the earliest deadline. Where very many hang close together, the
  /// beginning of their bucket; time_point::min() while collected ones are yet to be called; never
  /// without any.
  time_point next() noexcept;

  /// What is due at `now` is taken, by next_due(), in order. May throw std::bad_alloc, and then has
  /// lost nothing.
  void collect(time_point now);
  /// The next that was collected and has not been cancelled or put off since; it is disarmed.
  std::optional<std::uint32_t> next_due() noexcept;

 private:
  static constexpr unsigned tick_bits = 20;
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned levels = 8;  ///< 48 bits of ticks and more than a clock has
  static constexpr std::uint32_t fan = 1u << level_bits;
  /// A bucket with more timers than that is not searched for its earliest.
  static constexpr int most_searched = 64;

  struct Due {
    time_point deadline;
    std::uint64_t order;
    std::uint32_t index;
  };

  static std::uint64_t tick_of(time_point time) noexcept;
  std::uint16_t bucket_for(time_point deadline) const noexcept;
  /// The bucket that time comes to next; idle if all are empty.
  std::uint16_t first_bucket() const noexcept;
  std::uint64_t start_of(std::uint16_t bucket) const noexcept;
  void link(std::uint32_t index, std::uint16_t bucket) noexcept;
  void unlink(std::uint32_t index) noexcept;
  bool move_to_where_it_belongs(std::uint32_t index, std::uint16_t from) noexcept;
  bool find_earliest(std::uint16_t bucket) noexcept;

  std::array<std::uint32_t, levels* fan> heads_ = all_empty();
  std::array<std::uint64_t, levels> occupied_{};  ///< a bit a bucket
  std::uint64_t now_ = 0;                         ///< the tick up to which time has passed
  std::uint64_t orders_ = 0;
  std::size_t armed_ = 0;

  time_point next_ = never;
  bool next_known_ = true;

  std::vector<Due> due_;
  std::size_t due_taken_ = 0;

  static constexpr std::array<std::uint32_t, levels * fan> all_empty() {
    std::array<std::uint32_t, levels * fan> heads{};
    heads.fill(no_slot);
    return heads;
  }
};

}  // namespace pollux::detail
