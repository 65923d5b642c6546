// SPDX-License-Identifier: MIT
#include "timers/timer_service.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "base/text.hpp"

namespace pollux::detail {

Token TimerService::add(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
                        AnyHandler&& handler, std::error_code& error) try {
  error.clear();
  if (!loop_.backend) error = Errc::reactor_closed;
  if (repeats && interval <= std::chrono::nanoseconds::zero())
    error = system_error_code(std::errc::invalid_argument);
  if (error) return {};
  const std::uint32_t index = queue_.acquire();
  TimerSlot& timer = queue_.slot(index);
  timer.handler = handler ? std::move(handler) : Handler<void>{[] {}};
  timer.set_interval(interval, repeats);
  arm(index, deadline);
  return {index, 0};
} catch (const std::bad_alloc&) {
  error = system_error_code(std::errc::not_enough_memory);
  return {};
}

/// Out of line: of those that arm timers, few come before all others.
void TimerService::arm_sooner(std::uint32_t index, time_point deadline) noexcept {
  queue_.arm(index, deadline);
  loop_.work_added(deadline);
}

TimerService::time_point TimerService::deadline(Token token) const noexcept {
  return is_armed(token) ? queue_.time(token.slot).deadline : TimerQueue::never;
}

std::size_t TimerService::deliver() {
  std::size_t called = 0;
  const time_point now = loop_.now();
  queue_.collect(now);
  for (std::uint32_t index; (index = queue_.next_due()) != no_slot;) {
    TimerSlot& timer = queue_.slot(index);
    if (timer.repeats())
      queue_.arm(index, next_in_step(queue_.time(index).deadline, now, timer.span()));
    const WhileCalled running{queue_, called_, index};
    ++called;
    ++loop_.stats.timers;
    timer.handler.call(nullptr);
    if (loop_.stopped()) break;
  }
  return called;
}

void TimerService::destroy_handlers() noexcept {
  for (std::uint32_t i = 0; i < queue_.size(); ++i) {
    if (queue_.slot(i).handler) queue_.release(i);
  }
}

void TimerService::dump(std::string& to) const {
  std::size_t timers = 0;
  std::size_t armed = 0;
  time_point next = TimerQueue::never;
  for (std::uint32_t i = 0; i < queue_.size(); ++i) {
    if (!queue_.slot(i).handler) continue;
    ++timers;
    const TimerTime& time = queue_.time(i);
    if (!time.armed()) continue;
    ++armed;
    next = std::min(next, time.deadline);
  }
  to += "timers: " + std::to_string(timers) + ", " + std::to_string(armed) + " armed";
  if (armed != 0) to += ", next in " + seconds(between(loop_.now(), next)) + " s";
  to += '\n';
}

}  // namespace pollux::detail
