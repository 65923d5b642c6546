// SPDX-License-Identifier: MIT
// The kernel timer: it wakes the loop when the next timer is due, so that a loop which is kept busy
// by other things need not read the clock in every turn, nor give every wait an end.
#pragma once

#include <chrono>
#include <utility>

#include <pollux/backend.hpp>

#include "base/loop_context.hpp"
#include "io/registrations.hpp"
#include "platform/kernel_timer.hpp"

namespace pollux::detail {

class KernelTimer {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  KernelTimer(LoopContext& loop, Registrations& registrations) noexcept
      : loop_{loop}, registrations_{registrations}, handle_{loop.system_calls} {}

  /// When it expires; time_point::max() while it is not set.
  time_point due() const noexcept { return due_; }
  /// Whether the last wait with an end was interrupted: then the loop is kept busy.
  bool is_worth_it() const noexcept { return interrupted_; }
  void note_wait(bool interrupted) noexcept { interrupted_ = interrupted; }
  /// Sets it to `next`, if it is not set to an earlier time already: then it is moved when it has
  /// expired. Nothing where the system has none; the waits have an end then.
  void set(time_point next) noexcept;
  /// It counts as not set, and as not worth it.
  void forget() noexcept {
    interrupted_ = false;
    if (std::exchange(due_, time_point::max()) != time_point::max()) loop_.work_added();
  }
  /// Another is made when it is needed.
  void drop() noexcept;
  void after_fork() noexcept {
    drop();
    tried_ = false;
  }

 private:
  bool make() noexcept;
  void watch(Interest how, std::error_code& error);
  void expired() noexcept;

  LoopContext& loop_;
  Registrations& registrations_;
  platform::TimerHandle handle_;
  InternalWatch watch_;
  time_point due_ = time_point::max();
  bool interrupted_ = false;
  bool tried_ = false;
  bool is_edge_ = false;
};

}  // namespace pollux::detail
