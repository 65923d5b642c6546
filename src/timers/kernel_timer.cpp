// SPDX-License-Identifier: MIT
// The core's alarm: the kernel rings when the next timer is due, so that a loop which is kept busy
// by other things need not read the clock in every turn, nor give every wait an end.
#include <utility>

#include "loop/reactor_core.hpp"
#include "platform/kernel_timer.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

/// Sets it to the next timer, if it is not set to an earlier time already: then it is moved when it
/// has rung. Nothing where there is no alarm; the waits have an end then.
void ReactorCore::set_alarm() noexcept {
  const time_point next = timers_.next();
  if (next >= alarm_at_) return;
  if (!alarm_watch_ && !make_alarm()) return;
  if (platform::set_alarm(alarm_, next, stats_.system_calls)) alarm_at_ = next;
}

bool ReactorCore::make_alarm() noexcept {
  // Only the true clock can be the kernel's; and one refusal is enough.
  if (options_.clock != &std::chrono::steady_clock::now || std::exchange(alarm_tried_, true))
    return false;
  alarm_ = platform::open_alarm(stats_.system_calls);
  if (alarm_ == no_handle) return false;
  const auto watch_alarm = [this](Interest how, std::error_code& error) {
    alarm_watch_ = watch(alarm_, Interest::readable | how, Handler<void>{[this] {
                           alarm_at_ = time_point::max();
                           interrupted_ = false;  // unless the next wait with an end is, too
                           if (!alarm_is_edge_) platform::quiet_alarm(alarm_, stats_.system_calls);
                         }},
                         Watched::own, error);
  };
  std::error_code error;
  watch_alarm(Interest::edge, error);  // then it never has to be quieted
  alarm_is_edge_ = error != std::errc::operation_not_supported;
  if (!alarm_is_edge_) watch_alarm(Interest::none, error);
  if (error) drop_alarm();
  return !error;
}

/// Another is made when it is needed.
void ReactorCore::drop_alarm() noexcept {
  alarm_watch_.reset();
  if (alarm_ != no_handle)
    platform::close_handle(std::exchange(alarm_, no_handle), stats_.system_calls);
  alarm_at_ = time_point::max();
  calm_ = false;  // the next wait must have an end again
}

}  // namespace pollux::detail
