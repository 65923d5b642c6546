// SPDX-License-Identifier: MIT
// Requests to the loop: by other threads, by signal handlers, and by handlers for the next turn.
// Its memory orders are proved with wakeup.pml, which has to change with them.
#pragma once

#include <atomic>

#include <pollux/backend.hpp>

namespace pollux::detail {

/// Keeps requests until the loop consumes them, and wakes the loop if it sleeps. All requests are
/// one number, so that a turn reads it once.
class Wakeup {
 public:
  static constexpr unsigned stop = 1;    ///< Reactor::stop()
  static constexpr unsigned wake = 2;    ///< Reactor::wake()
  static constexpr unsigned post = 4;    ///< the queue has posted tasks
  static constexpr unsigned signal = 8;  ///< a watched signal was raised
  static constexpr unsigned check = 16;  ///< perhaps nothing is left that could call a handler

  /// Wakes `backend`; null where no loop ever sleeps.
  explicit Wakeup(Backend* backend) noexcept : backend_{backend} {}

  /// Any thread, and signal handlers.
  void request(unsigned what) noexcept {
    if (mark(what)) wake_up();
  }
  /// The two halves of request(): for callers that hold a lock which the woken loop would run into,
  /// and for callers that must not wake it. mark() returns whether wake_up() must follow.
  bool mark(unsigned what) noexcept {
    // Either this thread sees that the loop is about to sleep, or the loop sees the request: the
    // two stores and the two loads are in one order for both.
    const unsigned before = pending_.fetch_or(what, std::memory_order_seq_cst);
    return before == 0 && asleep_.load(std::memory_order_seq_cst);
  }
  void wake_up() noexcept { backend_->wake(); }

  // All below: loop thread.

  /// From now on a request wakes the backend. False if one is pending: the loop must not sleep.
  bool about_to_sleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    return pending_.load(std::memory_order_seq_cst) == 0;
  }
  void awake() noexcept { asleep_.store(false, std::memory_order_relaxed); }

  /// The requests that have not been consumed.
  unsigned pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
  bool is_pending(unsigned what) const noexcept { return (pending() & what) != 0; }
  /// As is_pending(); the request is not pending any more.
  bool consume(unsigned what) noexcept {
    return is_pending(what) && (pending_.fetch_and(~what, std::memory_order_acquire) & what) != 0;
  }

 private:
  Backend* backend_;
  std::atomic<unsigned> pending_{0};
  std::atomic<bool> asleep_{false};
};

}  // namespace pollux::detail
