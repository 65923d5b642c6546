// SPDX-License-Identifier: MIT
// The timers of a loop: what their handles ask for, and the calls of their handlers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/detail/any_handler.hpp>

#include "base/loop_context.hpp"
#include "timers/kernel_timer.hpp"
#include "timers/timer_queue.hpp"

namespace pollux::detail {

/// What has come of arming a timer. No error code, since one takes a call to its category.
enum class Restarted : std::uint8_t { done, ended, closed };

class TimerService {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  TimerService(LoopContext& loop, Registrations& registrations) noexcept
      : loop_{loop}, kernel_timer_{loop, registrations} {}

  // Each timer has one owner, which has its token until end() or the loop's close().

  /// A timer, or why there is none. No error code, since one takes a call to its category.
  struct Added {
    enum Outcome : std::uint32_t { done, closed, invalid, no_memory };

    std::uint32_t index = 0;
    Outcome outcome = done;
  };
  static std::error_code error_of(Added added) noexcept;

  /// `handler` is not empty. If there is no timer, it is left alone.
  Added add(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
            AnyHandler& handler) {
    if (repeats && interval <= std::chrono::nanoseconds::zero())
      return {0, loop_.backend ? Added::invalid : Added::closed};
    const Added added = add_unarmed(handler);
    if (added.outcome == Added::done) {
      queue_.slot(added.index).set_interval(interval, repeats);
      arm(added.index, deadline);
    }
    return added;
  }
  Added add_unarmed(AnyHandler& handler) try {
    if (!loop_.backend) return {0, Added::closed};
    const std::uint32_t index = queue_.acquire();
    TimerSlot& timer = queue_.slot(index);
    std::construct_at(&timer.handler, std::move(handler));  // which was empty
    timer.interval = {};
    return {index, Added::done};
  } catch (const std::bad_alloc&) {
    return {0, Added::no_memory};
  }
  Restarted restart(Token token) noexcept;
  Restarted restart(Token token, std::chrono::nanoseconds interval) noexcept;
  Restarted restart_at(Token token, time_point deadline) noexcept;
  /// Does what restart_at() does if that is to put a deadline off; false, and nothing done, if not.
  bool put_off(Token token, time_point deadline) noexcept {
    return loop_.backend && !queue_.is_sooner(deadline) &&
           queue_.arm_in_place(token.slot, deadline);
  }
  void cancel(Token token) noexcept;
  bool is_armed(Token token) const noexcept;
  time_point deadline(Token token) const noexcept;
  bool is_registered(Token token) const noexcept { return !queue_.time(token.slot).has_ended(); }
  /// The timer whose handler is running.
  Token called_token() const noexcept { return {called_.index, 0}; }
  void end(Token token) noexcept;
  /// By its own handler, which is running; the owner has the token still.
  void end_lent(Token token) noexcept;

  // What the loop asks.

  bool any_armed() const noexcept { return !queue_.empty(); }
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

  void leave_kernel() noexcept { kernel_timer_.drop(); }
  /// When the loop is closed: what the handlers have captured goes.
  void destroy_handlers() noexcept;
  /// In the child of a fork: the kernel timer is the parent's too.
  void after_fork() noexcept { kernel_timer_.after_fork(); }

 private:
  Restarted arm(std::uint32_t index, time_point deadline) noexcept;
  Restarted arm_sooner(std::uint32_t index, time_point deadline) noexcept;

  friend class WhileCalled<TimerService>;
  void release(std::uint32_t index) noexcept;

  LoopContext& loop_;
  TimerQueue queue_;
  KernelTimer kernel_timer_;
  CalledSlot called_;        ///< the timer whose handler is running
  bool owner_gone_ = false;  ///< has let go of that timer
};

// Here for the compiler to see: what is called each time that a deadline is put off.

inline Restarted TimerService::arm(std::uint32_t index, time_point deadline) noexcept {
  if (queue_.is_sooner(deadline)) return arm_sooner(index, deadline);
  return queue_.arm(index, deadline) ? Restarted::done : Restarted::ended;
}

inline Restarted TimerService::restart_at(Token token, time_point deadline) noexcept {
  return loop_.backend ? arm(token.slot, deadline) : Restarted::closed;
}

inline Restarted TimerService::restart(Token token) noexcept {
  if (!loop_.backend) return Restarted::closed;
  return arm(token.slot, loop_.from_now(queue_.slot(token.slot).span()));
}

inline Restarted TimerService::restart(Token token, std::chrono::nanoseconds interval) noexcept {
  if (!loop_.backend) return Restarted::closed;
  TimerSlot& timer = queue_.slot(token.slot);
  if (!timer.repeats()) timer.set_interval(interval, false);
  return arm(token.slot, loop_.from_now(interval));
}

inline void TimerService::cancel(Token token) noexcept {
  if (loop_.backend && queue_.disarm(token.slot)) loop_.something_ended();
}

inline bool TimerService::is_armed(Token token) const noexcept {
  return loop_.backend && queue_.time(token.slot).armed();
}

inline void TimerService::end(Token token) noexcept {
  if (!loop_.backend) return;  // ended by the loop's close()
  cancel(token);
  if (called_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    queue_.note_ended(token.slot);
    called_.ended = true;
    owner_gone_ = true;
  } else {
    queue_.release(token.slot);
  }
}

inline void TimerService::end_lent(Token token) noexcept {
  cancel(token);
  queue_.note_ended(token.slot);
  called_.ended = true;
}

}  // namespace pollux::detail
