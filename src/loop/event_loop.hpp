// SPDX-License-Identifier: MIT
// What a Reactor is inside: the services, and the turn that asks each of them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <pollux/reactor.hpp>

#include "base/loop_context.hpp"
#include "base/turn_hook.hpp"
#include "io/registrations.hpp"
#include "io/watch_service.hpp"
#include "process/process_service.hpp"
#include "tasks/post_queue.hpp"
#include "timers/timer_service.hpp"

namespace pollux::detail {

/// Loop thread, but for stop() and wake(). The handles of watches and timers share it with the
/// reactor, and may outlive that: then it is closed, and answers Errc::reactor_closed.
class EventLoop : public CoreBase {
 public:
  using time_point = LoopContext::time_point;

  EventLoop(std::unique_ptr<Backend> backend, const ReactorOptions& options);
  /// One that is closed from the beginning, as is the queue. Takes no memory.
  explicit EventLoop(std::shared_ptr<PostQueue> closed) noexcept;

  /// Ends everything: the backend goes, the handlers go.
  void close() noexcept;

  /// What ends a run, besides stop(), an error and the deadline.
  enum class Until : std::uint8_t {
    stopped,       ///< nothing
    nothing_left,  ///< nothing can call a handler any more
    called         ///< a handler has been called, or wake() was
  };

  /// Runs turns until `deadline` (time_point::max(): none; min(): one turn). `nothing_left` goes
  /// without a deadline.
  std::size_t run(time_point deadline, Until until, std::error_code& error);
  /// Any thread, and signal handlers, as wake().
  void stop() noexcept { loop_.wakeup.request(Wakeup::stop); }
  void wake() noexcept { loop_.wakeup.request(Wakeup::wake); }

  // A turn in pieces, for a host: another loop that waits in this one's place.

  NativeHandle native_handle(std::error_code& error) const noexcept;
  std::optional<std::chrono::nanoseconds> next_timeout() noexcept;
  std::optional<std::chrono::nanoseconds> prepare_for_host();
  bool check_for_host(std::error_code& error);
  std::size_t dispatch_for_host(std::error_code& error);
  void on_reschedule(AnyHandler&& notify) noexcept {
    if (loop_.backend) loop_.on_reschedule(std::move(notify));
  }

  void after_fork(std::error_code& error);

  Stats stats() const noexcept;
  std::string dump() const;
  void set_tracer(Tracer* tracer) noexcept {
    if (!loop_.backend) return;
    loop_.tracer = tracer;
    watches_.registrations().introduce_watches();
    loop_.work_added();
  }
  /// The tracer that the environment asks for, until another is set.
  void own_tracer(std::unique_ptr<Tracer> tracer) noexcept {
    own_tracer_ = std::move(tracer);
    set_tracer(own_tracer_.get());
  }

  const Backend* backend() const noexcept { return loop_.backend.get(); }
  time_point from_now(std::chrono::nanoseconds duration) const noexcept {
    return loop_.from_now(duration);
  }
  time_point turn_time() noexcept { return loop_.turn_time(); }
  Registrations& registrations() noexcept { return watches_.registrations(); }
  TimerService& timers() noexcept { return timers_; }
  const TimerService& timers() const noexcept { return timers_; }
  ProcessService& processes() noexcept { return processes_; }
  const std::shared_ptr<PostQueue>& posts() const noexcept { return posts_; }
  /// Null, until it is set.
  TurnHook* hook() const noexcept { return hook_.get(); }
  void set_hook(std::unique_ptr<TurnHook> hook) noexcept { hook_ = std::move(hook); }
  LoopContext& context() noexcept { return loop_; }

 private:
  /// While turns are run: a second run from inside a handler is refused, and a stop() is used up.
  class Running {
   public:
    explicit Running(LoopContext& loop) : loop_{loop} { loop_.running = true; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
      loop_.running = false;
      loop_.wakeup.consume(Wakeup::stop);
    }

   private:
    LoopContext& loop_;
  };

  std::size_t turn(time_point deadline, std::error_code& error);
  bool nothing_left() const noexcept;
  bool prepare();
  std::uint32_t wait(Timeout timeout, std::error_code& error);
  std::size_t deliver(std::uint32_t reports, std::error_code& error);
  std::size_t deliver_all();

  bool has_work() const noexcept;
  bool hook_has_work() const noexcept { return hook_ && hook_->has_work(); }
  time_point next_deadline() noexcept;
  Timeout until(time_point time) const noexcept;
  Timeout from_now_until(time_point time) const noexcept;
  std::error_code refusal_to_run() const noexcept;

  std::unique_ptr<Tracer> own_tracer_;
  LoopContext loop_;
  WatchService watches_;
  TimerService timers_{loop_, watches_.registrations()};
  ProcessService processes_{loop_, watches_.registrations()};
  std::shared_ptr<PostQueue> posts_;  ///< shared with those who post
  std::unique_ptr<TurnHook> hook_;    ///< of the streams, if there are any
  bool woken_ = false;                ///< by wake(), before this turn's handlers were called
};

inline EventLoop& CorePointer::operator*() const noexcept {
  return static_cast<EventLoop&>(*core_);
}

}  // namespace pollux::detail
