// SPDX-License-Identifier: MIT
// What others want of the loop: other threads, signal handlers, and handlers for the next turn.
#pragma once

#include <atomic>

#include <pollux/backend.hpp>

namespace pollux::detail {

/// Whoever wants something rings, and a loop that sleeps is woken; one that is awake looks before
/// it sleeps. All that was rung for is one number, so that a turn looks at it once.
class Doorbell {
 public:
  static constexpr unsigned stop = 1;    ///< Reactor::stop()
  static constexpr unsigned wake = 2;    ///< Reactor::wake()
  static constexpr unsigned post = 4;    ///< the queue has what was posted
  static constexpr unsigned signal = 8;  ///< a signal that is watched was raised

  /// `backend` is woken; null where nobody ever sleeps.
  explicit Doorbell(Backend* backend) noexcept : backend_{backend} {}

  /// Any thread, and signal handlers.
  void ring(unsigned why) noexcept {
    if (note(why)) wake_up();
  }
  /// The two halves of ring(), for those who hold a lock that a loop which is woken would run into,
  /// and for those who must not wake it. Whether wake_up() is to follow.
  bool note(unsigned why) noexcept {
    // Either this thread sees that the loop is about to sleep, or the loop sees what is wanted: the
    // two stores and the two loads are in one order for both.
    const unsigned before = rung_.fetch_or(why, std::memory_order_seq_cst);
    return before == 0 && asleep_.load(std::memory_order_seq_cst);
  }
  void wake_up() noexcept { backend_->wake(); }

  // All below: loop thread.

  /// From now on ringing wakes the backend. False if somebody has rung already: do not sleep.
  bool about_to_sleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    return rung_.load(std::memory_order_seq_cst) == 0;
  }
  void awake() noexcept { asleep_.store(false, std::memory_order_relaxed); }

  /// What was rung for and not taken.
  unsigned rung() const noexcept { return rung_.load(std::memory_order_relaxed); }
  bool rung_for(unsigned why) const noexcept { return (rung() & why) != 0; }
  /// As rung_for(), and not any more.
  bool take(unsigned why) noexcept {
    return rung_for(why) && (rung_.fetch_and(~why, std::memory_order_acq_rel) & why) != 0;
  }

 private:
  Backend* backend_;
  std::atomic<unsigned> rung_{0};
  std::atomic<bool> asleep_{false};
};

}  // namespace pollux::detail
