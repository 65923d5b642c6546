// SPDX-License-Identifier: MIT
// The core's timers: what their handles ask for, and the firing.
#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "loop/reactor_core.hpp"

namespace pollux {

namespace detail {

Timer ReactorCore::add_timer(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
                             AnyHandler&& handler, std::error_code& error) try {
  error.clear();
  if (!backend_) error = Errc::reactor_closed;
  if (repeats && interval <= std::chrono::nanoseconds::zero())
    error = refusal(std::errc::invalid_argument);
  if (error) return {};
  const std::uint32_t index = timers_.acquire();
  TimerSlot& timer = timers_.slot(index);
  timer.handler = handler ? std::move(handler) : Handler<void>{[] {}};
  timer.set_interval(interval, repeats);
  arm_timer(index, deadline);
  return {*this, {index, 0}};
} catch (const std::bad_alloc&) {
  error = refusal(std::errc::not_enough_memory);
  return {};
}

void ReactorCore::arm_timer(std::uint32_t index, time_point deadline) noexcept {
  if (timers_.is_sooner(deadline)) {
    arm_sooner(index, deadline);
  } else {
    timers_.arm(index, deadline);
  }
}

bool ReactorCore::restart_timer_at(Token token, time_point deadline) noexcept {
  if (!backend_) return false;
  arm_timer(token.slot, deadline);
  return true;
}

bool ReactorCore::restart_timer(Token token) noexcept {
  if (!backend_) return false;
  const time_point now = options_.clock();
  arm_timer(token.slot, later(now, timers_.slot(token.slot).span()));
  return true;
}

bool ReactorCore::restart_timer(Token token, std::chrono::nanoseconds interval) noexcept {
  if (!backend_) return false;
  const time_point now = options_.clock();
  TimerSlot& timer = timers_.slot(token.slot);
  if (!timer.repeats()) timer.set_interval(interval, false);
  arm_timer(token.slot, later(now, interval));
  return true;
}

void ReactorCore::cancel_timer(Token token) noexcept {
  if (backend_) timers_.disarm(token.slot);
}

bool ReactorCore::is_timer_armed(Token token) const noexcept {
  return backend_ && timers_.time(token.slot).armed();
}

ReactorCore::time_point ReactorCore::timer_deadline(Token token) const noexcept {
  return is_timer_armed(token) ? timers_.time(token.slot).deadline : TimerQueue::never;
}

void ReactorCore::end_timer(Token token) noexcept {
  if (!backend_) return;  // ended by close()
  if (firing_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    timers_.disarm(token.slot);
    firing_.ended = true;
  } else {
    timers_.release(token.slot);
  }
}

std::size_t ReactorCore::fire_timers() {
  std::size_t called = 0;
  const time_point now = options_.clock();
  timers_.collect(now);
  for (std::uint32_t index; (index = timers_.next_due()) != no_slot;) {
    TimerSlot& timer = timers_.slot(index);
    if (timer.repeats()) {
      timers_.arm(index, next_in_step(timers_.time(index).deadline, now, timer.span()));
    }
    const WhileCalled running{timers_, firing_, index};
    ++called;
    ++stats_.timers;
    timer.handler.call(nullptr);
    if (stopped()) break;
  }
  return called;
}

}  // namespace detail

namespace {

/// `core` is null where the handle is empty.
template <class Restart>
Errc outcome(const detail::CorePointer& core, Restart restart) noexcept {
  if (!core) return Errc::timer_closed;
  return restart(*core) ? Errc{} : Errc::reactor_closed;
}

void tell(Errc outcome, std::error_code& error) noexcept {
  error = outcome == Errc{} ? std::error_code{} : make_error_code(outcome);
}

[[noreturn]] void refuse(Errc outcome) {
  throw std::system_error{outcome, "pollux::Timer::restart"};
}

void throw_unless_done(Errc outcome) {
  if (outcome != Errc{}) refuse(outcome);
}

}  // namespace

void Timer::restart() {
  throw_unless_done(outcome(core_, [&](auto& core) { return core.restart_timer(token_); }));
}
void Timer::restart(std::error_code& error) noexcept {
  tell(outcome(core_, [&](auto& core) { return core.restart_timer(token_); }), error);
}
void Timer::restart(std::chrono::nanoseconds delay) {
  throw_unless_done(outcome(core_, [&](auto& core) { return core.restart_timer(token_, delay); }));
}
void Timer::restart(std::chrono::nanoseconds delay, std::error_code& error) noexcept {
  tell(outcome(core_, [&](auto& core) { return core.restart_timer(token_, delay); }), error);
}
void Timer::restart_at(time_point deadline) {
  throw_unless_done(
      outcome(core_, [&](auto& core) { return core.restart_timer_at(token_, deadline); }));
}
void Timer::restart_at(time_point deadline, std::error_code& error) noexcept {
  tell(outcome(core_, [&](auto& core) { return core.restart_timer_at(token_, deadline); }), error);
}

void Timer::cancel() noexcept {
  if (core_) core_->cancel_timer(token_);
}

bool Timer::armed() const noexcept {
  return core_ && core_->is_timer_armed(token_);
}
Timer::time_point Timer::deadline() const noexcept {
  return core_ ? core_->timer_deadline(token_) : time_point::max();
}

}  // namespace pollux
