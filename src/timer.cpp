// SPDX-License-Identifier: MIT
#include <pollux/timer.hpp>

#include <pollux/error.hpp>

#include "reactor_core.hpp"

namespace pollux {

namespace {

/// Runs `restart` with an error code, and throws what it reports.
template <class Restart>
void throwing(Restart restart) {
  std::error_code error;
  restart(error);
  if (error) throw std::system_error{error, "pollux::Timer::restart"};
}

}  // namespace

void Timer::restart(std::error_code& error) noexcept {
  error = Errc::timer_closed;
  if (core_) core_->restart_timer(token_, error);
}
void Timer::restart(std::chrono::nanoseconds delay, std::error_code& error) noexcept {
  error = Errc::timer_closed;
  if (core_) core_->restart_timer(token_, delay, error);
}
void Timer::restart_at(time_point deadline, std::error_code& error) noexcept {
  error = Errc::timer_closed;
  if (core_) core_->restart_timer_at(token_, deadline, error);
}
void Timer::restart() {
  throwing([&](std::error_code& error) { restart(error); });
}
void Timer::restart(std::chrono::nanoseconds delay) {
  throwing([&](std::error_code& error) { restart(delay, error); });
}
void Timer::restart_at(time_point deadline) {
  throwing([&](std::error_code& error) { restart_at(deadline, error); });
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
