// SPDX-License-Identifier: MIT
// What every system has in common. The memory orders are proved with signals.pml in posix/, which
// has to change with them.
#include "platform/signals.hpp"

namespace pollux::detail::platform {

SignalSet SignalInbox::take() noexcept {
  SignalSet taken;
  if (target_ == nullptr) return taken;
  // First this, then those: what is raised meanwhile is found now, or by the next call.
  target_->any_raised.exchange(false, std::memory_order_acquire);
  for (std::size_t signal = 0; signal < signal_numbers; ++signal) {
    std::atomic<bool>& raised = target_->raised[signal];
    if (raised.load(std::memory_order_relaxed))
      taken[signal] = raised.exchange(false, std::memory_order_acquire);
  }
  return taken;
}

}  // namespace pollux::detail::platform
