// SPDX-License-Identifier: MIT
// One timer of one reactor.
#pragma once

#include <chrono>
#include <system_error>

#include <pollux/detail/registration.hpp>

namespace pollux {

/// A timer, made by Reactor::timer(), after(), at() or every(). It ends with the object, which may
/// be moved; one that is to live on must be kept. Its handler runs in the loop's thread, never
/// early, at most once a turn; timers that are due together fire in the order of their deadlines,
/// those of one deadline in the order in which they were armed. A handler may restart, cancel or
/// destroy its own timer and any other.
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
class Timer : private detail::Registration<detail::Registered::timer> {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// No timer.
  Timer() noexcept = default;

  /// Ends the timer: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself.
  void reset() noexcept { end(); }

  /// Whether this object holds a timer that has not been ended: true also if it is not armed, and
  /// when the reactor is gone.
  explicit operator bool() const noexcept { return is_live(); }

  /// Arms it anew: for its interval from now (what after(), every() or restart(delay) was given
  /// last; none for one of timer()), for `delay` from now, or for `deadline`; what is past is due
  /// at once, in the next turn. A repeating timer goes on from there at its period. Allocates
  /// nothing, and costs a store where a deadline is put off; the rest is the reading of the clock.
  /// restart_at() does without, so what is put off again and again, as an idle time-out is with
  /// each byte, goes by `restart_at(reactor.turn_time() + delay)`. Errc::timer_closed for a timer
  /// that has ended, Errc::reactor_closed if the reactor is gone.
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
  friend class Reactor;
  friend class detail::LentWatch<Timer>;
  using Registration::Registration;
};

}  // namespace pollux
