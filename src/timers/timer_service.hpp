// SPDX-License-Identifier: MIT
// The timers of a loop: what their handles ask for, and the calls of their handlers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/detail/any_handler.hpp>

#include "base/loop_context.hpp"
#include "timers/kernel_timer.hpp"
#include "timers/timer_queue.hpp"

namespace pollux::detail {

class TimerService {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  TimerService(LoopContext& loop, Registrations& registrations) noexcept
      : loop_{loop}, kernel_timer_{loop, registrations} {}

  // Each timer has one handle, which has its token until end() or the loop's close().

  Token add(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
            AnyHandler&& handler, std::error_code& error);
  /// False once the loop is closed, as the next two.
  bool restart(Token token) noexcept;
  bool restart(Token token, std::chrono::nanoseconds interval) noexcept;
  bool restart_at(Token token, time_point deadline) noexcept;
  void cancel(Token token) noexcept;
  bool is_armed(Token token) const noexcept;
  time_point deadline(Token token) const noexcept;
  void end(Token token) noexcept;

  // What the loop asks.

  /// When the next timer is due; time_point::max() without any.
  time_point next_deadline() noexcept { return queue_.empty() ? TimerQueue::never : queue_.next(); }
  /// Whether the loop must read the clock: no kernel timer is set for the next timer.
  bool need_clock() noexcept { return !queue_.empty() && queue_.next() < kernel_timer_.due(); }
  /// Before a wait. A loop that mostly sleeps until the next timer lets the wait end; one that is
  /// kept busy has the kernel timer wake it, which is set once for many turns.
  void prepare() noexcept {
    if (kernel_timer_.is_worth_it()) kernel_timer_.set(queue_.next());
  }
  /// After a wait with an end: whether something else has ended it.
  void waited(bool interrupted) noexcept { kernel_timer_.note_wait(interrupted); }
  /// From now on a host waits, which goes by the clock.
  void go_by_clock() noexcept { kernel_timer_.forget(); }
  /// Calls the handlers of timers that are due: how many.
  std::size_t deliver();

  /// Adds a line about all timers, as Reactor::dump() has it.
  void dump(std::string& to) const;

  void leave_kernel() noexcept { kernel_timer_.drop(); }
  /// When the loop is closed: what the handlers have captured goes.
  void destroy_handlers() noexcept;
  /// In the child of a fork: the kernel timer is the parent's too.
  void after_fork() noexcept { kernel_timer_.after_fork(); }

 private:
  void arm(std::uint32_t index, time_point deadline) noexcept;
  void arm_sooner(std::uint32_t index, time_point deadline) noexcept;

  LoopContext& loop_;
  TimerQueue queue_;
  KernelTimer kernel_timer_;
  CalledSlot called_;  ///< the timer whose handler is running
};

// Here for the compiler to see: what is called each time that a deadline is put off.

inline void TimerService::arm(std::uint32_t index, time_point deadline) noexcept {
  if (queue_.is_sooner(deadline)) {
    arm_sooner(index, deadline);
  } else {
    queue_.arm(index, deadline);
  }
}

inline bool TimerService::restart_at(Token token, time_point deadline) noexcept {
  if (!loop_.backend) return false;
  arm(token.slot, deadline);
  return true;
}

inline bool TimerService::restart(Token token) noexcept {
  if (!loop_.backend) return false;
  arm(token.slot, loop_.from_now(queue_.slot(token.slot).span()));
  return true;
}

inline bool TimerService::restart(Token token, std::chrono::nanoseconds interval) noexcept {
  if (!loop_.backend) return false;
  TimerSlot& timer = queue_.slot(token.slot);
  if (!timer.repeats()) timer.set_interval(interval, false);
  arm(token.slot, loop_.from_now(interval));
  return true;
}

inline void TimerService::cancel(Token token) noexcept {
  if (loop_.backend) queue_.disarm(token.slot);
}

inline bool TimerService::is_armed(Token token) const noexcept {
  return loop_.backend && queue_.time(token.slot).armed();
}

inline void TimerService::end(Token token) noexcept {
  if (!loop_.backend) return;  // ended by the loop's close()
  if (called_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    queue_.disarm(token.slot);
    called_.ended = true;
  } else {
    queue_.release(token.slot);
  }
}

}  // namespace pollux::detail
