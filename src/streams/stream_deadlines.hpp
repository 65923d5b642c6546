// SPDX-License-Identifier: MIT
// The deadlines of a stream.
#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <system_error>

#include <pollux/detail/saturating_time.hpp>
#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>
#include <pollux/timer.hpp>

namespace pollux::detail {

/// Timers, of which most streams have none. Loop thread.
class StreamDeadlines {
 public:
  /// `timed_out` is called when no byte has moved for too long. `not_enough_memory`.
  template <class TimedOut>
  std::error_code start(Reactor& reactor, const StreamOptions& options, TimedOut timed_out) {
    std::error_code error;
    if (options.idle_timeout.count() != 0) idle_ = reactor.timer(timed_out, error);
    if (options.half_closed_timeout.count() != 0 && !error)
      half_closed_ = reactor.timer(timed_out, error);
    return error;
  }
  void bytes_moved(const Reactor& reactor, const StreamOptions& options) noexcept {
    if (idle_) restart_idle(reactor, options);
  }
  void side_ended(const StreamOptions& options) noexcept;

  bool is_closing() const noexcept { return static_cast<bool>(closing_); }
  /// `fired` is called once, at the end of StreamOptions::close_timeout; or, where the stream waits
  /// for what was sent to arrive, as often as waits_for() wants.
  template <class Fired>
  std::error_code start_closing(Reactor& reactor, const StreamOptions& options, bool waits,
                                Fired fired) {
    std::error_code error;
    give_up_at_ = detail::later(reactor.turn_time(), options.close_timeout);
    closing_ = reactor.after(waits ? ask_after_ : options.close_timeout, fired, error);
    return error;
  }
  void stop_closing() noexcept { closing_.reset(); }
  /// Whether to wait on for `left` bytes that have not arrived: until nothing has for
  /// StreamOptions::close_timeout.
  bool waits_for(std::size_t left, const Reactor& reactor, const StreamOptions& options) noexcept;

 private:
  void restart_idle(const Reactor& reactor, const StreamOptions& options) noexcept;

  Timer idle_;
  Timer half_closed_;
  Timer closing_;
  std::size_t left_ = std::numeric_limits<std::size_t>::max();
  Timer::time_point give_up_at_ = {};
  std::chrono::milliseconds ask_after_{1};
};

}  // namespace pollux::detail
