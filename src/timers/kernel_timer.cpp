// SPDX-License-Identifier: MIT
#include "timers/kernel_timer.hpp"

#include <utility>

#include "platform/kernel_timer.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

void KernelTimer::set(time_point next) noexcept {
  if (next >= due_) return;
  if (!watch_ && !make()) return;
  if (platform::set_kernel_timer(handle_, next, loop_.calls())) due_ = next;
}

bool KernelTimer::make() noexcept {
  // Only the true clock can be the kernel's; and one refusal is enough.
  if (loop_.options.clock != &std::chrono::steady_clock::now || std::exchange(tried_, true))
    return false;
  handle_ = platform::open_kernel_timer(loop_.calls());
  if (handle_ == no_handle) return false;
  std::error_code error;
  watch(Interest::edge, error);  // then it never has to be quieted
  is_edge_ = error != std::errc::operation_not_supported;
  if (!is_edge_) watch(Interest::none, error);
  if (error) drop();
  return !error;
}

void KernelTimer::watch(Interest how, std::error_code& error) {
  watch_ =
      registrations_.watch_internal(handle_, Interest::readable | how,
                                    Handler<Readiness>{[this](Readiness) { expired(); }}, error);
}

void KernelTimer::expired() noexcept {
  due_ = time_point::max();
  interrupted_ = false;  // unless the next wait with an end is, too
  if (!is_edge_) platform::clear_kernel_timer(handle_, loop_.calls());
  loop_.work_added();
}

void KernelTimer::drop() noexcept {
  watch_.reset();
  if (handle_ != no_handle)
    platform::close_handle(std::exchange(handle_, no_handle), loop_.calls());
  due_ = time_point::max();
  loop_.work_added();  // the next wait must have an end again
}

}  // namespace pollux::detail
