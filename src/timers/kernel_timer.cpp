// SPDX-License-Identifier: MIT
#include "timers/kernel_timer.hpp"

#include <utility>

namespace pollux::detail {

void KernelTimer::set(time_point next) noexcept {
  if (next >= due_) return;
  if (!watch_ && !make()) return;
  // What is due already the loop finds by the clock. By the kernel timer it may be late by a turn:
  // that reports nothing before the processor's own timer has interrupted it.
  if (next <= loop_.now()) return;
  if (handle_.set(next)) due_ = next;
}

bool KernelTimer::make() noexcept {
  // Only the true clock can be the kernel's; and one refusal is enough.
  if (loop_.options.clock != &std::chrono::steady_clock::now || std::exchange(tried_, true))
    return false;
  if (!handle_.open()) return false;
  std::error_code error;
  watch(Interest::edge, error);  // then it never has to be quieted
  is_edge_ = error != std::errc::operation_not_supported;
  if (!is_edge_) watch(Interest::none, error);
  if (error) drop();
  return !error;
}

void KernelTimer::watch(Interest how, std::error_code& error) {
  watch_ =
      registrations_.watch_internal(handle_.handle(), Interest::readable | how,
                                    Handler<Readiness>{[this](Readiness) { expired(); }}, error);
}

void KernelTimer::expired() noexcept {
  due_ = time_point::max();
  interrupted_ = false;  // unless the next wait with an end is, too
  if (!is_edge_) handle_.clear();
  loop_.work_added();
}

void KernelTimer::drop() noexcept {
  watch_.reset();
  handle_.close();
  due_ = time_point::max();
  loop_.work_added();  // the next wait must have an end again
}

}  // namespace pollux::detail
