// SPDX-License-Identifier: MIT
// The same three steps for a host: another loop, which waits in this one's place.
// Its sleeping and waking is proved with event_loop.pml.
#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "loop/event_loop.hpp"

namespace pollux::detail {

std::optional<std::chrono::nanoseconds> EventLoop::prepare_for_host() {
  if (refusal_to_run()) return std::nullopt;  // the other two say why
  loop_.host_is_back();
  timers_.go_by_clock();
  static_cast<void>(prepare());
  // A task that comes from here on makes the native handle readable; one that came before is seen.
  static_cast<void>(loop_.wakeup.about_to_sleep());
  const std::optional<std::chrono::nanoseconds> timeout = next_timeout();
  loop_.host_waits(timeout ? loop_.from_now(*timeout) : time_point::max());
  return timeout;
}

bool EventLoop::check_for_host(std::error_code& error) {
  error = refusal_to_run();
  if (error) return false;
  loop_.host_is_back();
  timers_.go_by_clock();
  ++loop_.turn;
  static_cast<void>(prepare());
  if (!watches_.has_work()) watches_.merge(wait(Timeout::zero(), error), error);
  loop_.work_added();  // what has been fetched is for the next turn, whoever runs it
  return has_work() || loop_.wakeup.pending() != 0 || error ||
         timers_.next_deadline() <= loop_.now();
}

std::size_t EventLoop::dispatch_for_host(std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;
  loop_.host_is_back();
  timers_.go_by_clock();
  const Running running{loop_};
  loop_.forget_turn_time();
  return loop_.stopped() ? 0 : deliver_all();
}

std::optional<std::chrono::nanoseconds> EventLoop::next_timeout() noexcept {
  if (has_work() || watches_.set().has_changes() || loop_.wakeup.pending() != 0)
    return std::chrono::nanoseconds{0};
  const Timeout left = until(std::min(watches_.set().next_deadline(), timers_.next_deadline()));
  if (left.is_infinite()) return std::nullopt;
  return left.duration();
}

NativeHandle EventLoop::native_handle(std::error_code& error) const noexcept {
  const NativeHandle handle = loop_.backend ? loop_.backend->native_handle() : no_handle;
  error.clear();
  if (!loop_.backend) {
    error = Errc::reactor_closed;
  } else if (handle == no_handle) {
    error = system_error_code(std::errc::operation_not_supported);
  }
  return handle;
}

}  // namespace pollux::detail
