// SPDX-License-Identifier: MIT
// What Reactor and the watches share: registrations (io/registration.cpp) and the turn
// (loop/turn.cpp).
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>
#include <pollux/reactor.hpp>
#include <pollux/saturating_time.hpp>

#include "base/wakeup.hpp"
#include "io/retry_queue.hpp"
#include "io/watch_table.hpp"
#include "platform/edge_set.hpp"
#include "platform/platform.hpp"
#include "platform/signals.hpp"
#include "process/process_watch_table.hpp"
#include "tasks/post_queue.hpp"
#include "timers/timer_queue.hpp"

namespace pollux::detail {

/// A backend's word that a registration has gone with its descriptor.
inline bool is_gone(const std::error_code& error) {
  return error &&
         (error == std::errc::bad_file_descriptor || error == std::errc::no_such_file_or_directory);
}

/// Whether a readiness watch has what it asked for, and not only a hint: a read or a write does not
/// block. (At the end of a pipe Linux shows hup alone, and a read is 0.)
inline bool has_what_was_asked(RawReady ready, Interest asked) {
  return any(ready, RawReady::hup) ||
         (any(ready, RawReady::in) && any(asked, Interest::readable)) ||
         (any(ready, RawReady::out) && any(asked, Interest::writable));
}

/// What is delivered to a readiness watch.
inline Readiness readiness_of(RawReady ready, Interest asked) {
  const bool error = any(ready, RawReady::err);
  const bool hangup = any(ready, RawReady::hup);
  // Hang-up and error wake whichever was asked for: its owner's read or write must see them.
  Interest bits = Interest::none;
  if (error || hangup || any(ready, RawReady::in | RawReady::rdhup)) bits |= Interest::readable;
  if (error || hangup || any(ready, RawReady::out)) bits |= Interest::writable;
  if (any(ready, RawReady::pri)) bits |= Interest::priority;
  return Readiness{bits & asked, error, hangup};
}

/// What a descriptor is watched as. `own`: by the core, whose handler only takes note.
enum class Watched : std::uint8_t { readiness, stream, internal };

class ReactorCore : public CoreBase {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  ReactorCore(std::unique_ptr<Backend> backend, const ReactorOptions& options);
  /// One that is closed from the beginning, as is the queue. Takes no memory.
  explicit ReactorCore(std::shared_ptr<PostQueue> closed) noexcept
      : wakeup_{nullptr}, signals_{wakeup_}, posts_{std::move(closed)} {}

  // Registrations. A token that names nothing (any more) is answered with Errc::watch_closed.
  WatchBase watch(NativeHandle handle, Interest interest, AnyHandler&& handler, Watched as,
                  std::error_code& error);
  void set_interest(Token token, Interest interest, std::error_code& error) noexcept;
  Interest interest(Token token) noexcept;
  PeerClosedLatency peer_closed_latency(Token token) noexcept;
  void unwatch(Token token) noexcept;
  bool close_watch(Token token) noexcept;

  // Timers (timers/timers.cpp). Each has one handle: a token is good until end_timer() or close().
  // What restarts is false after close().
  Timer add_timer(time_point deadline, std::chrono::nanoseconds interval, bool repeats,
                  AnyHandler&& handler, std::error_code& error);
  bool restart_timer(Token token) noexcept;
  bool restart_timer(Token token, std::chrono::nanoseconds interval) noexcept;
  bool restart_timer_at(Token token, time_point deadline) noexcept;
  void cancel_timer(Token token) noexcept;
  bool is_timer_armed(Token token) const noexcept;
  time_point timer_deadline(Token token) const noexcept;
  void end_timer(Token token) noexcept;

  // Signals and children (process/process_watches.cpp).
  ProcessWatchBase watch_signal(int signo, AnyHandler&& handler, std::error_code& error);
  ProcessWatchBase watch_child(int pid, AnyHandler&& handler, std::error_code& error);
  void end_process_watch(Token token) noexcept;

  const std::shared_ptr<PostQueue>& posts() const noexcept { return posts_; }

  /// Ends everything: the backend goes, the handlers go. What is asked afterwards answers
  /// Errc::reactor_closed.
  void close() noexcept;

  // Turns.
  /// Runs turns until stop(), until `deadline` (time_point::max(): for ever; min(): one turn), or,
  /// with `once`, until a handler has been called or wake() was.
  std::size_t run(time_point deadline, bool once, std::error_code& error);
  time_point from_now(std::chrono::nanoseconds duration) const noexcept;
  void stop() noexcept { wakeup_.request(Wakeup::stop); }
  void wake() noexcept { wakeup_.request(Wakeup::wake); }

  // A turn in pieces, for other loops (loop/embedding.cpp).
  NativeHandle native_handle(std::error_code& error) const noexcept;
  std::optional<std::chrono::nanoseconds> next_timeout() noexcept;
  std::optional<std::chrono::nanoseconds> prepare();
  bool check(std::error_code& error);
  std::size_t dispatch_checked(std::error_code& error);
  void on_reschedule(AnyHandler&& notify) noexcept {
    if (backend_) notify_ = std::move(notify);
  }

  void after_fork(std::error_code& error);

  Stats stats() const noexcept {
    Stats stats = stats_;
    stats.turns = turn_ - before_the_first;
    if (backend_) stats.system_calls += backend_->system_calls();
    return stats;
  }
  void set_tracer(Tracer* tracer) noexcept {
    if (!backend_) return;
    tracer_ = tracer;
    nothing_pending_ = false;
  }

  const Backend* backend() const noexcept { return backend_.get(); }

 private:
  class Running;
  class Dispatching;

  // io/registration.cpp: what the kernel is asked for.
  RawInterest wanted(const Slot& slot) const noexcept;
  RawInterest wanted_by_state(const Slot& slot) const noexcept;
  Traits traits(const Slot& slot) const noexcept {
    return {slot.type.kind, knows_fin_, knows_over_, reports_failures_unasked_,
            slot.type.has(Quirk::urgent) && knows_urgent_};
  }
  /// What the backend does not report has to be looked for.
  bool is_looking() const noexcept {
    return !knows_fin_ || !knows_over_ || !reports_failures_unasked_;
  }
  StreamType examine(NativeHandle handle, std::error_code& error) noexcept;
  std::error_code install(std::uint32_t index, RawInterest wanted);
  std::error_code install(Slot& slot, Token token, RawInterest wanted);
  std::error_code install_again(Slot& slot, Token token, RawInterest wanted);
  std::error_code set_backend_interest(Slot& slot, Token token, RawInterest wanted);
  bool is_gone_from_kernel(std::uint32_t index, Slot& slot);
  void take_from_kernel(std::uint32_t index) noexcept;
  void take_from_kernel(Slot& slot, Token token) noexcept;
  void note_change(std::uint32_t index) noexcept;
  void note_closed(std::uint32_t index) noexcept;
  void make_room();
  void apply_changes();
  void apply_change(std::uint32_t index);
  void change_failed(std::uint32_t index, std::error_code error);
  void schedule_retry(std::uint32_t index) noexcept;
  void cancel_retry(std::uint32_t index) noexcept {
    if (!retries_.empty()) retries_.remove(index);
  }
  void run_due_retries();
  std::error_code reset_backend();
  std::error_code rebuild();
  std::error_code reinstall_all();
  std::uint16_t epoch() const noexcept { return static_cast<std::uint16_t>(turn_); }
  bool is_verified(const Slot& slot) const noexcept {
    return static_cast<std::uint16_t>(epoch() - slot.verified_in) <= 1;
  }

  // io/detached.cpp: what is watched, and is in no backend's set just now.
  std::error_code begin_detached(std::uint32_t index, std::uint32_t other);
  void detach(std::uint32_t index) noexcept;
  void mask_without_edges(std::uint32_t index, RawInterest wanted);
  bool open_edges();
  void drop_edges() noexcept;
  bool is_still_ours(std::uint32_t index) noexcept;
  void end_detached(std::uint32_t index) noexcept;
  void leave_edges(Slot& slot) noexcept;
  std::size_t deliver_masked();

  // timers/kernel_timer.cpp
  void set_kernel_timer() noexcept;
  bool make_kernel_timer() noexcept;
  void drop_kernel_timer() noexcept;
  /// Whether the loop must read the clock: no kernel timer is set for the next timer.
  bool timers_need_clock() noexcept {
    return !timers_.empty() && timers_.next() < kernel_timer_due_;
  }

  // process/process_watches.cpp: signals and children.
  bool is_child_watched(int pid) const noexcept;
  bool watch_child_handle(std::uint32_t index);
  std::error_code watch_child_signal(std::uint32_t index) noexcept;
  void detach_from_system(std::uint32_t index) noexcept;
  void leave_process_watches_to_parent() noexcept;
  bool process_events_pending() const noexcept {
    return process_watches_.any_due() || check_children_;
  }
  void collect_process_events() noexcept;
  std::size_t deliver_process_events();
  bool deliver_process_event(std::uint32_t index);
  void call_process_handler(std::uint32_t index, const void* argument);

  // loop/turn.cpp: one turn.
  std::size_t turn(time_point deadline, std::error_code& error);
  std::size_t full_turn(time_point deadline, std::error_code& error);
  bool prepare_turn();
  /// The next timer or the next look, whichever is first; time_point::max() without any.
  time_point next_due() noexcept {
    return timers_.empty() ? retries_.next() : std::min(retries_.next(), timers_.next());
  }
  /// The clock is read only where it has to be.
  Timeout until(time_point time) const noexcept {
    if (time == time_point::max()) return Timeout::infinite();
    if (time == time_point::min()) return Timeout::zero();
    return from_now_until(time);
  }
  Timeout from_now_until(time_point time) const noexcept;
  std::uint32_t wait(Timeout timeout, std::error_code& error);
  void prepare_batch(std::uint32_t count, std::error_code& error);
  std::error_code refusal_to_register() const noexcept {
    if (!backend_) return Errc::reactor_closed;
    if (forked()) return Errc::forked;
    return {};
  }
  std::error_code refusal_to_run() const noexcept;
  void reschedule() noexcept;
  bool forked() const noexcept { return fork_count_ != forks_.load(std::memory_order_relaxed); }
  void prefetch_probes();
  std::size_t dispatch();
  std::size_t deliver_batch();
  void arm_timer(std::uint32_t index, time_point deadline) noexcept;
  void arm_sooner(std::uint32_t index, time_point deadline) noexcept;
  std::size_t fire_timers();
  std::size_t run_posted();
  bool stopped() const noexcept { return wakeup_.is_pending(Wakeup::stop); }
  bool deliver_one(Token token, Slot& slot, RawReady ready);
  const void* fast_path_event(const Slot& slot, Interest bits) const noexcept {
    const auto i = static_cast<std::size_t>(bits);
    return slot.stream ? static_cast<const void*>(&fast_path_events_[i]) : &fast_path_readiness[i];
  }
  void call(std::uint32_t index, Slot& slot, const void* event) {
    const WhileCalled called{table_, calling_, index};
    ++stats_.events;
    slot.handler.call(event);
  }

  // io/delivery.cpp: reports that take a closer look.
  bool is_report_in_vain(std::uint32_t index, RawReady ready);
  bool deliver(std::uint32_t index, Slot& slot, RawReady ready);
  bool deliver_readiness(std::uint32_t index, Slot& slot, RawReady ready);
  bool deliver_to_stream(std::uint32_t index, Slot& slot, RawReady ready);
  platform::Outcome decide(std::uint32_t index, Slot& slot, Observation& found, Decision& decision);
  platform::Outcome probe(std::uint32_t index, Slot& slot, Probe wanted, Observation& found);
  bool is_none_of_its_own(const Slot& slot, RawReady ready) noexcept;
  void learn_fin_number(Slot& slot) noexcept;
  bool note_vain(std::uint32_t index, Slot& slot, RawReady ready) noexcept;
  void call_handler(std::uint32_t index, Slot& slot, const void* event);

  std::unique_ptr<Backend> backend_;
  ReactorOptions options_;
  bool knows_fin_ = false;
  bool knows_over_ = false;
  bool reports_failures_unasked_ = false;
  bool knows_urgent_ = false;
  bool can_edge_ = true;  ///< until the backend has answered that it can't

  WatchTable table_;
  /// Slots whose interest may have to be changed in the kernel, each once: the first `changes_`.
  std::vector<std::uint32_t> changed_;
  std::size_t changes_ = 0;
  RetryQueue retries_;       ///< slots to look at again, later
  HandleRegistry detached_;  ///< who those are that are outside the backend's set, by slot
  platform::EdgeSet edges_;  ///< what is masked, where the backend has no edges
  WatchBase edges_watch_;
  bool edges_refused_ = false;  ///< by the backend
  bool edges_ready_ = false;    ///< edges_ has reports
  platform::HandlePoller poller_;

  Wakeup wakeup_;
  ProcessWatchTable process_watches_;
  platform::SignalInbox signals_;
  bool check_children_ = false;  ///< at those without a handle, although nothing was raised

  TimerQueue timers_;
  NativeHandle kernel_timer_ = no_handle;
  WatchBase kernel_timer_watch_;
  time_point kernel_timer_due_ = time_point::max();  ///< when it expires; max(): it is not set
  bool kernel_timer_tried_ = false;
  bool kernel_timer_is_edge_ = false;
  bool interrupted_ = false;          ///< the last wait with an end brought something before
  std::shared_ptr<PostQueue> posts_;  ///< shared with those who post

  static constexpr std::uint64_t before_the_first =
      2;                                   ///< so that a fresh slot is not verified_in for
  std::uint64_t turn_ = before_the_first;  ///< counts turns
  Stats stats_;                            ///< but for `turns`
  Tracer* tracer_ = nullptr;
  /// The most frequent events, by the bits of Interest that it stands for, and made once: an error
  /// code takes a call to its category.
  const std::array<StreamEvent, 6> fast_path_events_{
      StreamEvent{Event::none},     StreamEvent{Event::readable},
      StreamEvent{Event::none},     StreamEvent{Event::none},
      StreamEvent{Event::writable}, StreamEvent{Event::readable | Event::writable}};
  static constexpr std::array<Readiness, 6> fast_path_readiness{
      Readiness{Interest::none},     Readiness{Interest::readable},
      Readiness{Interest::none},     Readiness{Interest::none},
      Readiness{Interest::writable}, Readiness{Interest::readable | Interest::writable}};
  unsigned fork_count_ = fork_count();
  const std::atomic<unsigned>& forks_ = platform::forks();

  AnyHandler notify_;  ///< the other loop's, if there is one
  std::optional<time_point>
      prepared_;  ///< until when the other loop was asked to wait, unless notified since

  std::unique_ptr<RawEvent[]> batch_;  ///< this turn's reports, one a slot after prepare_batch()
  std::uint32_t batch_room_ = 0;
  std::uint32_t batch_size_ = 0;
  /// Only requests and the kernel can give the next turn work: prepare_turn() has checked that, and
  /// whatever adds work clears this.
  bool nothing_pending_ = false;
  bool woken_ = false;  ///< by wake(), before this turn's handlers were called
  bool running_ = false;
  CalledSlot delivering_;  ///< the signal or child whose handler is running
  CalledSlot firing_;      ///< the timer whose handler is running
  CalledSlot calling_;     ///< the slot whose handler is running
};

inline ReactorCore& CorePointer::operator*() const noexcept {
  return static_cast<ReactorCore&>(*core_);
}

}  // namespace pollux::detail
