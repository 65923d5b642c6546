// SPDX-License-Identifier: MIT
#include "timers/timer_service.hpp"

#include <algorithm>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "base/text.hpp"

namespace pollux::detail {

std::error_code TimerService::error_of(Added added) noexcept {
  switch (added.outcome) {
    case Added::closed:
      return Errc::reactor_closed;
    case Added::invalid:
      return system_error_code(std::errc::invalid_argument);
    case Added::no_memory:
      return system_error_code(std::errc::not_enough_memory);
    case Added::done:
      break;
  }
  return {};
}

/// Out of line: of those that arm timers, few come before all others.
Restarted TimerService::arm_sooner(std::uint32_t index, time_point deadline) noexcept {
  if (!queue_.arm(index, deadline)) return Restarted::ended;
  loop_.work_added(deadline);
  return Restarted::done;
}

TimerService::time_point TimerService::deadline(Token token) const noexcept {
  return is_armed(token) ? queue_.time(token.slot).deadline : TimerQueue::never;
}

std::size_t TimerService::deliver() {
  std::size_t called = 0;
  LoopContext& loop = loop_;  // once: a handler may change all that is reached by this
  const time_point now = loop.turn_time();
  queue_.collect(now);
  for (std::uint32_t index; (index = queue_.next_due()) != no_slot;) {
    TimerSlot& timer = queue_.slot(index);
    if (timer.repeats())
      queue_.arm(index, next_in_step(queue_.time(index).deadline, now, timer.span()));
    const WhileCalled running{*this, called_, index};
    ++called;
    ++loop.stats.timers;
    timer.handler.call(nullptr);
    if (loop.stopped()) break;
  }
  return called;
}

/// When its handler has returned, and has ended it.
void TimerService::release(std::uint32_t index) noexcept {
  if (std::exchange(owner_gone_, false)) {
    queue_.release(index);
  } else {
    queue_.destroy_handler(index);
  }
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
