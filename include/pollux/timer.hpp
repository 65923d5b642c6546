// SPDX-License-Identifier: MIT
// One timer of one reactor.
#pragma once

#include <chrono>
#include <system_error>

#include <pollux/detail/registration.hpp>
#include <pollux/export.hpp>

namespace pollux {

/// A timer, made by Reactor::after(), at() or every(). It ends with the object; one that is to live
/// on must be kept. Its handler runs in the loop's thread, never early, at most once a turn; timers
/// that are due together fire in the order of their deadlines, those of one deadline in the order
/// in which they were armed. A handler may restart, cancel or destroy its own timer and any other.
///
/// Measured by ReactorOptions::clock, the steady clock. Deadlines are exact to the nanosecond; how
/// soon after one the loop wakes is the kernel's: epoll_pwait2(2) and ppoll(2) take nanoseconds and
/// add the thread's timer slack (prctl(2), 50 µs unless set), older kernels round up to
/// milliseconds.
///
/// Any deadline and any delay will do: what is past is due now, however long ago it was, what is
/// beyond the clock's end is at its end, and there nothing fires. A repeating timer that fell
/// behind goes on in step. A clock that is set back or forward takes the deadlines as they are.
///
/// All members: loop thread, and harmless when the reactor is gone.
class POLLUX_EXPORT Timer : public detail::Registration<detail::Registered::timer> {
 public:
  /// A time of the steady clock.
  using time_point = std::chrono::steady_clock::time_point;

  Timer() noexcept = default;

  /// Arms it anew: for its interval from now (what after() or every() was given last), for `delay`
  /// from now, or for `deadline`; what is past is due at once, in the next turn. A repeating timer
  /// goes on from there at its period. Allocates nothing, and costs a store where a deadline is put
  /// off; the rest is the reading of the clock, which restart_at() does without. Errc::timer_closed
  /// for an empty timer, Errc::reactor_closed if the reactor is gone.
  void restart();
  void restart(std::error_code& error) noexcept;
  void restart(std::chrono::nanoseconds delay);
  void restart(std::chrono::nanoseconds delay, std::error_code& error) noexcept;
  void restart_at(time_point deadline);
  void restart_at(time_point deadline, std::error_code& error) noexcept;

  /// It does not fire until it is restarted, not even in this turn; the handler is kept.
  void cancel() noexcept;

  /// Whether it will fire.
  bool armed() const noexcept;
  /// When; time_point::max() if it is not armed.
  time_point deadline() const noexcept;

 private:
  using Registration::Registration;
};

}  // namespace pollux
