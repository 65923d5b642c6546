// SPDX-License-Identifier: MIT
// Arithmetic on times that stops at the ends of what they hold. No other is done on the times that
// a program gives, or a clock. Applications have no need of it.
#pragma once

#include <chrono>
#include <cstdint>

namespace pollux::detail {

using TimePoint = std::chrono::steady_clock::time_point;

/// The sum, or the end of durations that is nearest to it.
constexpr std::chrono::nanoseconds saturating_sum(std::chrono::nanoseconds a,
                                                  std::chrono::nanoseconds b) noexcept {
  using std::chrono::nanoseconds;
  if (b < nanoseconds::zero()) return a < nanoseconds::min() - b ? nanoseconds::min() : a + b;
  return a > nanoseconds::max() - b ? nanoseconds::max() : a + b;
}

/// `time` and `by`; the past and the future end where the clock does.
constexpr TimePoint later(TimePoint time, std::chrono::nanoseconds by) noexcept {
  return TimePoint{saturating_sum(time.time_since_epoch(), by)};
}

/// How long it is from one to the other: negative, if that was before.
constexpr std::chrono::nanoseconds between(TimePoint from, TimePoint to) noexcept {
  using std::chrono::nanoseconds;
  const nanoseconds start = from.time_since_epoch();
  const nanoseconds end = to.time_since_epoch();
  if (start < nanoseconds::zero())
    return end > nanoseconds::max() + start ? nanoseconds::max() : end - start;
  return end < nanoseconds::min() + start ? nanoseconds::min() : end - start;
}

/// When something that was due at `due`, and is every `period`, is due next: after `now`, and
/// after `due` if the clock has been set back since. `period` is positive.
constexpr TimePoint next_in_step(TimePoint due, TimePoint now,
                                 std::chrono::nanoseconds period) noexcept {
  if (now <= due) return later(due, period);
  // Unsigned: from the beginning of time to its end is more than a duration holds.
  const auto since = static_cast<std::uint64_t>(now.time_since_epoch().count()) -
                     static_cast<std::uint64_t>(due.time_since_epoch().count());
  const auto begun = since % static_cast<std::uint64_t>(period.count());
  return later(now, period - std::chrono::nanoseconds{static_cast<std::int64_t>(begun)});
}

}  // namespace pollux::detail
