// SPDX-License-Identifier: MIT
// A turn in pieces, for those who wait in another loop.
#include <utility>

#include <pollux/error.hpp>

#include "loop/reactor_core.hpp"

namespace pollux::detail {

NativeHandle ReactorCore::native_handle(std::error_code& error) const noexcept {
  const NativeHandle handle = backend_ ? backend_->native_handle() : no_handle;
  error.clear();
  if (!backend_) {
    error = Errc::reactor_closed;
  } else if (handle == no_handle) {
    error = refusal(std::errc::operation_not_supported);
  }
  return handle;
}

std::optional<std::chrono::nanoseconds> ReactorCore::next_timeout() noexcept {
  if (batch_size_ != 0 || changes_ != 0 || wakeup_.pending() != 0 || process_events_pending())
    return std::chrono::nanoseconds{0};
  const Timeout left = until(next_due());
  if (left.is_infinite()) return std::nullopt;
  return left.duration();
}

std::optional<std::chrono::nanoseconds> ReactorCore::prepare() {
  if (refusal_to_run()) return std::nullopt;  // check() and dispatch() say why
  prepared_.reset();
  run_due_retries();
  apply_changes();
  // A task that comes from here on makes the native handle readable; one that came before is seen.
  static_cast<void>(wakeup_.about_to_sleep());
  const std::optional<std::chrono::nanoseconds> timeout = next_timeout();
  prepared_ = timeout ? later(options_.clock(), *timeout) : time_point::max();
  return timeout;
}

/// Out of line: of those that arm timers, few come before all others.
void ReactorCore::arm_sooner(std::uint32_t index, time_point deadline) noexcept {
  nothing_pending_ = false;
  timers_.arm(index, deadline);
  if (prepared_ && deadline < *prepared_) reschedule();
}

/// The timeout that prepare() has returned is out of date.
void ReactorCore::reschedule() noexcept {
  prepared_.reset();
  if (notify_) notify_.call(nullptr);
}

}  // namespace pollux::detail
