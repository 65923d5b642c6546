// SPDX-License-Identifier: MIT
#include <pollux/timer.hpp>

#include <system_error>

#include <pollux/error.hpp>

#include "loop/event_loop.hpp"

namespace pollux {

namespace {

/// `core` is null where the handle is empty.
template <class Restart>
Errc outcome(const detail::CorePointer& core, Restart restart) noexcept {
  if (!core) return Errc::timer_closed;
  if (restart(*core)) return {};
  return core->backend() != nullptr ? Errc::timer_closed : Errc::reactor_closed;
}

void report(Errc outcome, std::error_code& error) noexcept {
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
  throw_unless_done(
      outcome(core_, [&](auto& core) { return core.timers().restart_at(token_, deadline); }));
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
