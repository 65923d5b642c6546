// SPDX-License-Identifier: MIT
// What a service of the loop sees of it: the backend, the wakeup, the clock, the counters, and the
// call that says that a service has added work.
// What other threads take part in is proved with event_loop.pml in src/loop/.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/detail/any_handler.hpp>
#include <pollux/detail/saturating_time.hpp>
#include <pollux/error.hpp>
#include <pollux/reactor.hpp>

#include "base/wakeup.hpp"

namespace pollux::detail {

/// One a loop, which owns it; each service keeps a reference. Loop thread, but for the wakeup.
class LoopContext {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `forks` counts the forks of this process, and lives as long as the program.
  LoopContext(std::unique_ptr<Backend> waits, const ReactorOptions& chosen,
              const std::atomic<unsigned>& forks) noexcept
      : backend{std::move(waits)}, options{chosen}, wakeup{backend.get()}, forks_{forks} {}
  LoopContext(const LoopContext&) = delete;
  LoopContext& operator=(const LoopContext&) = delete;

  time_point now() const noexcept { return options.clock(); }
  time_point from_now(std::chrono::nanoseconds duration) const noexcept {
    return later(now(), duration);
  }
  /// The time of this turn: the clock as it was when this turn first asked for it. Where no
  /// handler is running there is no turn, and the clock is read.
  time_point turn_time() noexcept {
    if (!running || turn_time_of_ != turn) {
      turn_time_ = now();
      turn_time_of_ = turn;
    }
    return turn_time_;
  }
  /// The turn goes on after a pause.
  void forget_turn_time() noexcept { turn_time_of_ = 0; }
  /// A handler has called stop(): no other handler is to be called in this run.
  bool stopped() const noexcept { return wakeup.is_pending(Wakeup::stop); }

  /// Whether this is the child of a fork, and its backend still the parent's.
  bool forked() const noexcept { return fork_count_ != forks_.load(std::memory_order_relaxed); }
  /// The backend is this process's own again.
  void leave_parent() noexcept { fork_count_ = fork_count(); }
  /// Why nothing can be registered; no error if it can.
  std::error_code refusal_to_register() const noexcept {
    if (!backend) return Errc::reactor_closed;
    if (forked()) return Errc::forked;
    return {};
  }

  /// Has the backend forget everything. Its std::bad_alloc is an error like any other.
  std::error_code reset_backend() try { return backend->reset(); } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }

  /// A service has given the next turn something to do: the turn must ask all of them, and a
  /// host that waits in this loop's place must ask anew for how long.
  void work_added() noexcept {
    nothing_pending = false;
    wake_host();
  }
  /// The same, for what is due at `deadline` and not before.
  void work_added(time_point deadline) noexcept {
    nothing_pending = false;
    if (host_waits_until_ && deadline < *host_waits_until_) notify_host();
  }

  /// Something has ended: if that may end the run, the next turn must look if anything is left.
  void something_ended() noexcept {
    if (ends_with_nothing_left) nothing_pending = false;
  }

  /// A host that waits must ask anew.
  void wake_host() noexcept {
    if (host_waits_until_) notify_host();
  }
  /// The host waits from now on, until `deadline` at most; or it has come back.
  void host_waits(time_point deadline) noexcept { host_waits_until_ = deadline; }
  void host_is_back() noexcept { host_waits_until_.reset(); }
  /// `notify` is called when a host that waits must ask anew.
  void on_reschedule(AnyHandler&& notify) noexcept { notify_ = std::move(notify); }

  /// Says to the tracer, if there is one, what has become of a user's watch.
  void trace(Token token, bool internal, WatchChange change) const noexcept {
    if (tracer != nullptr && !internal) tracer->watch_changed(now(), token, change);
  }

  std::unique_ptr<Backend> backend;  ///< null once the loop is closed
  const ReactorOptions options;
  Wakeup wakeup;
  SystemCalls system_calls;  ///< of the loop, without its backend's
  Stats stats;               ///< but for `turns` and `system_calls`
  Tracer* tracer = nullptr;
  /// The first turns' number, so that a fresh slot is not verified in one of them.
  static constexpr std::uint64_t before_the_first = 2;
  std::uint64_t turn = before_the_first;
  /// Only requests and the kernel can give the next turn work: the last turn has asked all
  /// services, and none has added work since.
  bool nothing_pending = false;
  bool running = false;                 ///< turns are run, and handlers may be
  bool ends_with_nothing_left = false;  ///< the run that is running

 private:
  void notify_host() noexcept {
    host_waits_until_.reset();
    if (notify_) notify_.call(nullptr);
  }

  time_point turn_time_{};
  std::uint64_t turn_time_of_ = 0;
  unsigned fork_count_ = fork_count();
  const std::atomic<unsigned>& forks_;
  std::optional<time_point> host_waits_until_;
  AnyHandler notify_;
};

}  // namespace pollux::detail
