// SPDX-License-Identifier: MIT
// The kernel timer: it wakes the loop when the next timer is due, so that a loop which is kept busy
// by other things need not read the clock in every turn, nor give every wait an end.
#include <utility>

#include "loop/reactor_core.hpp"
#include "platform/kernel_timer.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

/// Sets it to the next timer, if it is not set to an earlier time already: then it is moved when it
/// has expired. Nothing where the system has none; the waits have a timeout then.
void ReactorCore::set_kernel_timer() noexcept {
  const time_point next = timers_.next();
  if (next >= kernel_timer_due_) return;
  if (!kernel_timer_watch_ && !make_kernel_timer()) return;
  if (platform::set_kernel_timer(kernel_timer_, next, stats_.system_calls))
    kernel_timer_due_ = next;
}

bool ReactorCore::make_kernel_timer() noexcept {
  // Only the true clock can be the kernel's; and one refusal is enough.
  if (options_.clock != &std::chrono::steady_clock::now || std::exchange(kernel_timer_tried_, true))
    return false;
  kernel_timer_ = platform::open_kernel_timer(stats_.system_calls);
  if (kernel_timer_ == no_handle) return false;
  const auto watch_alarm = [this](Interest how, std::error_code& error) {
    kernel_timer_watch_ =
        watch(kernel_timer_, Interest::readable | how, Handler<void>{[this] {
                kernel_timer_due_ = time_point::max();
                interrupted_ = false;  // unless the next wait with an end is, too
                if (!kernel_timer_is_edge_)
                  platform::clear_kernel_timer(kernel_timer_, stats_.system_calls);
              }},
              Watched::internal, error);
  };
  std::error_code error;
  watch_alarm(Interest::edge, error);  // then it never has to be quieted
  kernel_timer_is_edge_ = error != std::errc::operation_not_supported;
  if (!kernel_timer_is_edge_) watch_alarm(Interest::none, error);
  if (error) drop_kernel_timer();
  return !error;
}

/// Another is made when it is needed.
void ReactorCore::drop_kernel_timer() noexcept {
  kernel_timer_watch_.reset();
  if (kernel_timer_ != no_handle)
    platform::close_handle(std::exchange(kernel_timer_, no_handle), stats_.system_calls);
  kernel_timer_due_ = time_point::max();
  nothing_pending_ = false;  // the next wait must have an end again
}

}  // namespace pollux::detail
