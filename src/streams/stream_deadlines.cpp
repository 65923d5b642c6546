// SPDX-License-Identifier: MIT
#include "streams/stream_deadlines.hpp"

#include <algorithm>

namespace pollux::detail {

namespace {

/// The kernel is asked less and less often what has arrived.
constexpr std::chrono::milliseconds longest_pause{50};

}  // namespace

void StreamDeadlines::restart_idle(const Reactor& reactor, const StreamOptions& options) noexcept {
  std::error_code ignored;
  idle_.restart_at(later(reactor.turn_time(), options.idle_timeout), ignored);
}

void StreamDeadlines::side_ended(const StreamOptions& options) noexcept {
  if (!half_closed_ || half_closed_.armed()) return;
  std::error_code ignored;
  half_closed_.restart(options.half_closed_timeout, ignored);
}

bool StreamDeadlines::waits_for(std::size_t left, const Reactor& reactor,
                                const StreamOptions& options) noexcept {
  const Timer::time_point now = reactor.turn_time();
  if (left < left_) {
    left_ = left;
    give_up_at_ = later(now, options.close_timeout);
  }
  if (left == 0 || now >= give_up_at_) return false;
  ask_after_ = std::min(2 * ask_after_, longest_pause);
  std::error_code ignored;
  closing_.restart(ask_after_, ignored);
  return true;
}

}  // namespace pollux::detail
