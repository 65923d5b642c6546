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

/// What a readiness watch is told.
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
enum class Watched : std::uint8_t { readiness, stream, own };

class ReactorCore : public CoreBase {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  ReactorCore(std::unique_ptr<Backend> backend, const ReactorOptions& options);
  /// One that is closed from the beginning, as is the queue. Takes no memory.
  explicit ReactorCore(std::shared_ptr<PostQueue> closed) noexcept
      : bell_{nullptr}, signals_{bell_}, posts_{std::move(closed)} {}

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
  NoticeBase watch_signal(int signo, AnyHandler&& handler, std::error_code& error);
  NoticeBase watch_child(int pid, AnyHandler&& handler, std::error_code& error);
  void end_notice(Token token) noexcept;

  const std::shared_ptr<PostQueue>& posts() const noexcept { return posts_; }

  /// Ends everything: the backend goes, the handlers go. What is asked afterwards answers
  /// Errc::reactor_closed.
  void close() noexcept;

  // Turns.
  /// Runs turns until stop(), until `deadline` (time_point::max(): for ever; min(): one turn), or,
  /// with `once`, until a handler has been called or wake() was.
  std::size_t run(time_point deadline, bool once, std::error_code& error);
  time_point from_now(std::chrono::nanoseconds duration) const noexcept;
  void stop() noexcept { bell_.ring(Doorbell::stop); }
  void wake() noexcept { bell_.ring(Doorbell::wake); }

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
    calm_ = false;
  }

  const Backend* backend() const noexcept { return backend_.get(); }

 private:
  class Running;
  class Dispatching;

  // io/registration.cpp: what the kernel is told.
  RawInterest wanted(const Slot& slot) const noexcept;
  RawInterest wanted_later(const Slot& slot) const noexcept;
  Traits traits(const Slot& slot) const noexcept {
    return {slot.type.kind, knows_fin_, knows_over_, hears_failures_,
            slot.type.has(Quirk::urgent) && knows_urgent_};
  }
  /// What the backend does not report has to be looked for.
  bool is_looking() const noexcept { return !knows_fin_ || !knows_over_ || !hears_failures_; }
  StreamType examine(NativeHandle handle, std::error_code& error) noexcept;
  std::error_code install(std::uint32_t index, RawInterest wanted);
  std::error_code install(Slot& slot, Token token, RawInterest wanted);
  std::error_code install_again(Slot& slot, Token token, RawInterest wanted);
  std::error_code tell_backend(Slot& slot, Token token, RawInterest wanted);
  void take_from_kernel(std::uint32_t index) noexcept;
  void take_from_kernel(Slot& slot, Token token) noexcept;
  void note_change(std::uint32_t index) noexcept;
  void note_closed(std::uint32_t index) noexcept;
  void make_room();
  void apply_changes();
  void apply_change(std::uint32_t index);
  void change_failed(std::uint32_t index, std::error_code error);
  void look_later(std::uint32_t index) noexcept;
  void cancel_look(std::uint32_t index) noexcept {
    if (!lookout_.empty()) lookout_.remove(index);
  }
  void look_again_due();
  std::error_code reset_backend();
  std::error_code rebuild();
  std::error_code reinstall_all();
  std::uint16_t epoch() const noexcept { return static_cast<std::uint16_t>(turn_); }
  bool is_vouched_for(const Slot& slot) const noexcept {
    return static_cast<std::uint16_t>(epoch() - slot.vouched) <= 1;
  }

  // io/detached.cpp: what is watched, and is in no backend's set just now.
  std::error_code begin_outside(std::uint32_t index, std::uint32_t other);
  void park(std::uint32_t index) noexcept;
  void mask_outside(std::uint32_t index, RawInterest wanted);
  bool open_edges();
  void drop_edges() noexcept;
  bool is_still_ours(std::uint32_t index) noexcept;
  void leave_outside(std::uint32_t index) noexcept;
  void leave_edges(Slot& slot) noexcept;
  std::size_t tell_edges();

  // timers/kernel_timer.cpp
  void set_alarm() noexcept;
  bool make_alarm() noexcept;
  void drop_alarm() noexcept;
  /// Whether the clock has to be looked at: nobody will ring when the next timer is due.
  bool timers_need_clock() noexcept { return !timers_.empty() && timers_.next() < alarm_at_; }

  // process/process_watches.cpp: what is heard of without a descriptor of the user's.
  bool is_child_watched(int pid) const noexcept;
  bool watch_child_handle(std::uint32_t index);
  std::error_code watch_child_signal(std::uint32_t index) noexcept;
  void silence(std::uint32_t index) noexcept;
  void leave_notices_to_parent() noexcept;
  bool notices_wait() const noexcept { return notices_.any_due() || look_at_children_; }
  void collect_notices() noexcept;
  std::size_t tell_notices();
  bool tell_notice(std::uint32_t index);
  void call_notice(std::uint32_t index, const void* argument);

  // loop/turn.cpp: one turn.
  std::size_t turn(time_point deadline, std::error_code& error);
  std::size_t busy_turn(time_point deadline, std::error_code& error);
  bool settle();
  /// The next timer or the next look, whichever is first; time_point::max() without any.
  time_point next_due() noexcept {
    return timers_.empty() ? lookout_.next() : std::min(lookout_.next(), timers_.next());
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
  void look_ahead();
  std::size_t dispatch();
  std::size_t tell_batch();
  void arm_timer(std::uint32_t index, time_point deadline) noexcept;
  void arm_sooner(std::uint32_t index, time_point deadline) noexcept;
  std::size_t fire_timers();
  std::size_t run_posted();
  bool stopped() const noexcept { return bell_.rung_for(Doorbell::stop); }
  bool tell_one(Token token, Slot& slot, RawReady ready);
  const void* plain_event(const Slot& slot, Interest bits) const noexcept {
    const auto i = static_cast<std::size_t>(bits);
    return slot.stream ? static_cast<const void*>(&plain_events_[i]) : &plain_readiness[i];
  }
  void call(std::uint32_t index, Slot& slot, const void* event) {
    const WhileCalled called{table_, calling_, index};
    ++stats_.events;
    slot.handler.call(event);
  }

  // io/delivery.cpp: reports that take a closer look.
  bool is_report_in_vain(std::uint32_t index, RawReady ready);
  bool is_gone_from_kernel(std::uint32_t index);
  bool tell(std::uint32_t index, Slot& slot, RawReady ready);
  bool tell_readiness(std::uint32_t index, Slot& slot, RawReady ready);
  bool tell_stream(std::uint32_t index, Slot& slot, RawReady ready);
  platform::Outcome decide(std::uint32_t index, Findings& found, Verdict& verdict);
  platform::Outcome probe(std::uint32_t index, Probe wanted, Findings& found);
  bool is_none_of_its_own(const Slot& slot, RawReady ready) noexcept;
  void learn_fin_number(Slot& slot) noexcept;
  bool note_vain(std::uint32_t index, Slot& slot, RawReady ready) noexcept;
  void call_as_asked(std::uint32_t index, Slot& slot, const void* event);

  std::unique_ptr<Backend> backend_;
  ReactorOptions options_;
  bool knows_fin_ = false;
  bool knows_over_ = false;
  bool hears_failures_ = false;
  bool knows_urgent_ = false;
  bool can_edge_ = true;  ///< until the backend has answered that it can't

  WatchTable table_;
  /// Slots that the kernel may have to be told about, each once: the first `changes_`.
  std::vector<std::uint32_t> changed_;
  std::size_t changes_ = 0;
  Lookout lookout_;          ///< slots to look at again, later
  HandleRegistry parked_;    ///< who those are that are outside the backend's set, by slot
  platform::EdgeSet edges_;  ///< what is masked, where the backend has no edges
  WatchBase edges_watch_;
  bool edges_tried_ = false;
  bool edges_ready_ = false;  ///< edges_ has something to tell
  platform::Looker looker_;

  Doorbell bell_;
  NoticeTable notices_;
  platform::SignalInbox signals_;
  bool look_at_children_ = false;  ///< at those without a handle, although nothing was raised

  TimerQueue timers_;
  NativeHandle alarm_ = no_handle;
  WatchBase alarm_watch_;
  time_point alarm_at_ = time_point::max();  ///< when it rings; max(): it will not
  bool alarm_tried_ = false;
  bool alarm_is_edge_ = false;
  bool interrupted_ = false;          ///< the last wait with an end brought something before
  std::shared_ptr<PostQueue> posts_;  ///< shared with those who post

  static constexpr std::uint64_t before_the_first = 2;  ///< so that a fresh slot is not vouched for
  std::uint64_t turn_ = before_the_first;               ///< counts turns
  Stats stats_;                                         ///< but for `turns`
  Tracer* tracer_ = nullptr;
  /// What is told most often, by the bits of Interest that it stands for, and made once: an error
  /// code takes a call to its category.
  const std::array<StreamEvent, 6> plain_events_{
      StreamEvent{Event::none},     StreamEvent{Event::readable},
      StreamEvent{Event::none},     StreamEvent{Event::none},
      StreamEvent{Event::writable}, StreamEvent{Event::readable | Event::writable}};
  static constexpr std::array<Readiness, 6> plain_readiness{
      Readiness{Interest::none},     Readiness{Interest::readable},
      Readiness{Interest::none},     Readiness{Interest::none},
      Readiness{Interest::writable}, Readiness{Interest::readable | Interest::writable}};
  unsigned fork_count_ = fork_count();
  const std::atomic<unsigned>& forks_ = platform::forks();

  AnyHandler notify_;                   ///< the other loop's, if there is one
  std::optional<time_point> prepared_;  ///< until when it was told to wait, unless told since

  std::unique_ptr<RawEvent[]> batch_;  ///< this turn's reports, one a slot after prepare_batch()
  std::uint32_t batch_room_ = 0;
  std::uint32_t batch_size_ = 0;
  /// Nothing but the bell and the kernel can give this turn anything to do; settle() has seen to
  /// it, and whatever gives a turn something to do unsettles it.
  bool calm_ = false;
  bool woken_ = false;  ///< by wake(), before this turn's handlers were called
  bool running_ = false;
  CalledSlot telling_;  ///< the notice whose handler is running
  CalledSlot firing_;   ///< the timer whose handler is running
  CalledSlot calling_;  ///< the slot whose handler is running
};

inline ReactorCore& CorePointer::operator*() const noexcept {
  return static_cast<ReactorCore&>(*core_);
}

}  // namespace pollux::detail
