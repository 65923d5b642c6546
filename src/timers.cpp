// SPDX-License-Identifier: MIT
// The core's timers: what their handles ask for, and the firing.
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "reactor_core.hpp"

namespace pollux::detail {

Timer ReactorCore::add_timer(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
                             AnyHandler&& handler, std::error_code& error) {
  error.clear();
  if (!backend_) error = Errc::reactor_closed;
  if (repeats && interval <= std::chrono::nanoseconds::zero())
    error = refusal(std::errc::invalid_argument);
  if (error) return {};
  const Token token = timers_.acquire();
  TimerSlot& timer = timers_.slot(token.slot);
  timer.handler = std::move(handler);
  timer.interval = interval;
  timer.repeats = repeats;
  timers_.arm(token.slot, deadline);
  timer_armed(deadline);
  return {shared_from_this(), token};
}

void ReactorCore::restart_timer(Token token, std::error_code& error) noexcept {
  const TimerSlot* timer = timers_.find(token);
  restart_timer(token, timer != nullptr ? timer->interval : std::chrono::nanoseconds{}, error);
}

void ReactorCore::restart_timer(Token token, std::chrono::nanoseconds interval,
                                std::error_code& error) noexcept {
  TimerSlot* timer = timers_.find(token);
  restart_timer_at(token, from_now(interval), error);
  if (!error && !timer->repeats) timer->interval = interval;
}

void ReactorCore::restart_timer_at(Token token, time_point deadline,
                                   std::error_code& error) noexcept {
  error.clear();
  if (!backend_) {
    error = Errc::reactor_closed;
  } else if (timers_.find(token) == nullptr) {
    error = Errc::timer_closed;
  } else {
    timers_.arm(token.slot, deadline);
    timer_armed(deadline);
  }
}

void ReactorCore::cancel_timer(Token token) noexcept {
  if (timers_.find(token) != nullptr) timers_.disarm(token.slot);
}

bool ReactorCore::is_timer_armed(Token token) const noexcept {
  const TimerSlot* timer = timers_.find(token);
  return timer != nullptr && timer->armed();
}

ReactorCore::time_point ReactorCore::timer_deadline(Token token) const noexcept {
  return is_timer_armed(token) ? timers_.slot(token.slot).deadline : TimerQueue::never;
}

void ReactorCore::end_timer(Token token) noexcept {
  if (timers_.find(token) == nullptr) return;
  if (firing_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    timers_.disarm(token.slot);
    timers_.disown(token.slot);
    firing_.ended = true;
  } else {
    timers_.release(token.slot);
  }
}

std::size_t ReactorCore::fire_timers() {
  std::size_t called = 0;
  const time_point now = options_.clock();
  timers_.collect(now);
  while (const std::optional<std::uint32_t> index = timers_.next_due()) {
    TimerSlot& timer = timers_.slot(*index);
    if (timer.repeats) {
      const auto missed = (now - timer.deadline) / timer.interval;
      timers_.arm(*index, later(timer.deadline + missed * timer.interval, timer.interval));
    }
    const WhileCalled running{timers_, firing_, *index};
    ++called;
    ++stats_.timers;
    timer.handler.call(nullptr);
    if (stopped()) break;
  }
  return called;
}

}  // namespace pollux::detail
