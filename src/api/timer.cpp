// SPDX-License-Identifier: MIT
#include <pollux/timer.hpp>

#include <system_error>

#include <pollux/error.hpp>

#include "loop/event_loop.hpp"

namespace pollux {

namespace {

using detail::Restarted;

/// `core` is null where the handle is empty.
template <class Restart>
Restarted outcome(const detail::CorePointer& core, Restart restart) noexcept {
  return core ? restart(*core) : Restarted::ended;
}

Errc refusal_of(Restarted outcome) noexcept {
  return outcome == Restarted::closed ? Errc::reactor_closed : Errc::timer_closed;
}

void report(Restarted outcome, std::error_code& error) noexcept {
  error = outcome == Restarted::done ? std::error_code{} : make_error_code(refusal_of(outcome));
}

[[noreturn]] void refuse(Restarted outcome) {
  throw std::system_error{refusal_of(outcome), "pollux::Timer::restart"};
}

void throw_unless_done(Restarted outcome) {
  if (outcome != Restarted::done) refuse(outcome);
}

/// Out of line, so that restart_at() is short.
[[gnu::noinline]] void arm(const detail::CorePointer& core, Token token,
                           Timer::time_point deadline) {
  throw_unless_done(
      outcome(core, [&](auto& loop) { return loop.timers().restart_at(token, deadline); }));
}

}  // namespace

void Timer::restart() {
  throw_unless_done(outcome(core_, [&](auto& core) { return core.timers().restart(token_); }));
}
void Timer::restart(std::error_code& error) noexcept {
  report(outcome(core_, [&](auto& core) { return core.timers().restart(token_); }), error);
}
void Timer::restart(std::chrono::nanoseconds delay) {
  throw_unless_done(
      outcome(core_, [&](auto& core) { return core.timers().restart(token_, delay); }));
}
void Timer::restart(std::chrono::nanoseconds delay, std::error_code& error) noexcept {
  report(outcome(core_, [&](auto& core) { return core.timers().restart(token_, delay); }), error);
}
void Timer::restart_at(time_point deadline) {
  if (core_ && core_->timers().put_off(token_, deadline)) return;
  arm(core_, token_, deadline);
}
void Timer::restart_at(time_point deadline, std::error_code& error) noexcept {
  report(outcome(core_, [&](auto& core) { return core.timers().restart_at(token_, deadline); }),
         error);
}

void Timer::cancel() noexcept {
  if (core_) core_->timers().cancel(token_);
}

bool Timer::armed() const noexcept {
  return core_ && core_->timers().is_armed(token_);
}
Timer::time_point Timer::deadline() const noexcept {
  return core_ ? core_->timers().deadline(token_) : time_point::max();
}

}  // namespace pollux
