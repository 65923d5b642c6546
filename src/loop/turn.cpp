// SPDX-License-Identifier: MIT
// One turn, from top to bottom: apply changes → wait → merge by slot → prefetch probes → deliver to
// watches, signals and children, timers, posted tasks. An event's whole way is in this file, so
// that the compiler sees all of it; what is rare is elsewhere (io/delivery.cpp,
// io/registration.cpp).
#include "loop/reactor_core.hpp"

#include <algorithm>
#include <utility>

#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

/// While turns are run: a second run from inside a handler is refused, and a stop() is used up.
class ReactorCore::Running {
 public:
  explicit Running(ReactorCore& core) : core_{core} { core_.running_ = true; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    core_.running_ = false;
    core_.wakeup_.consume(Wakeup::stop);
  }

 private:
  ReactorCore& core_;
};

/// Goes through the batch. What stop() or an exception leaves undispatched is forgotten here and
/// reported anew by the next wait: registrations are level-triggered, or made so again.
class ReactorCore::Dispatching {
 public:
  explicit Dispatching(ReactorCore& core) : core_{core} {}
  Dispatching(const Dispatching&) = delete;
  Dispatching& operator=(const Dispatching&) = delete;
  ~Dispatching() {
    while (!done()) {
      const Token token = next();
      Slot* slot = core_.table_.find(token);
      if (slot == nullptr) continue;
      slot->ready = RawReady::none;
      slot->inbound = Inbound::unknown;
      if (slot->state.mask == Mask::all) {
        slot->state.mask = Mask::none;
        core_.note_change(token.slot);
      } else if (any(slot->interest, Interest::edge)) {
        core_.take_from_kernel(token.slot);  // and in again: a new edge
        core_.note_change(token.slot);
      }
    }
    core_.batch_size_ = 0;
  }

  bool done() const { return next_ == core_.batch_size_; }
  Token next() { return core_.batch_[next_++].token; }

 private:
  ReactorCore& core_;
  std::uint32_t next_ = 0;
};

/// Delivers one report. Whether a handler was called.
inline bool ReactorCore::deliver_one(Token token, Slot& slot, RawReady ready) {
  if (++slot.reports == 0 && is_report_in_vain(token.slot, ready)) return false;
  if (slot.fast_path && is_fast_path(slot.interest, slot.state, ready) && tracer_ == nullptr) {
    const Interest bits = interest_of(ready) & slot.interest;
    if (bits == Interest::none) return note_vain(token.slot, slot, ready);
    slot.backoff = 0;
    slot.verified_in = epoch();
    call(token.slot, slot, fast_path_event(slot, bits));
    return true;
  }
  return deliver(token.slot, slot, ready);
}

std::size_t ReactorCore::deliver_batch() {
  std::size_t called = 0;
  Dispatching batch{*this};
  while (!batch.done()) {
    const Token token = batch.next();
    Slot* const slot = table_.find(token);
    if (slot == nullptr) continue;  // unwatched by a handler of this turn
    if (deliver_one(token, *slot, std::exchange(slot->ready, RawReady::none))) ++called;
    if (stopped()) break;
  }
  return called;
}

/// Makes a batch of what was reported, one report a slot.
void ReactorCore::prepare_batch(std::uint32_t count, std::error_code& error) {
  RawReady seen = RawReady::none;
  bool all_known = true;
  for (std::uint32_t i = 0; i < count; ++i) {
    const RawEvent& event = batch_[i];
    Slot* const slot = table_.find(event.token);
    if (tracer_ != nullptr && (slot == nullptr || !slot->internal))
      tracer_->reported(options_.clock(), event.token, event.ready);
    // Nothing has been unwatched since the wait: what is reported for a token that names nothing,
    // or for a slot outside the set, is a registration that could not be removed (its descriptor
    // was closed first, and a duplicate keeps it alive).
    if (slot == nullptr || slot->installed == RawInterest::none) {
      ++stats_.stale_reports;
      all_known = false;
      continue;
    }
    seen |= event.ready;
    const RawReady before = slot->ready;
    slot->ready |= event.ready;
    if (before != RawReady::none) continue;
    if (batch_size_ != i) batch_[batch_size_] = event;
    ++batch_size_;
  }
  if (!all_known) error = rebuild();  // there is what the kernel's set should have forgotten
  if (batch_size_ > 1 && any(seen, knows_fin_ ? RawReady::rdhup : RawReady::in)) prefetch_probes();
}

/// Has the backend wait. How much was reported; `error` is set if there is one, and else left as it
/// is.
inline std::uint32_t ReactorCore::wait(Timeout timeout, std::error_code& error) {
  ++stats_.waits;
  const WaitResult result = backend_->wait({batch_.get(), batch_room_}, timeout);
  wakeup_.awake();
  if (result.error != 0) error = platform::error_code(result.error);
  stats_.reports += result.count;
  return result.count;
}

/// Calls the handlers. What was posted or raised by now is for this turn, what is by one of them
/// for the next.
std::size_t ReactorCore::dispatch() {
  woken_ = wakeup_.consume(Wakeup::wake);
  const bool posts = wakeup_.is_pending(Wakeup::post);
  if (posts) posts_->collect();
  if (wakeup_.is_pending(Wakeup::signal) || check_children_) collect_process_events();
  std::size_t called = deliver_batch();
  if (edges_ready_ && !stopped()) called += deliver_masked();
  if (process_watches_.any_due() && !stopped()) called += deliver_process_events();
  if (timers_need_clock() && !stopped()) called += fire_timers();
  if (posts && !stopped()) called += run_posted();
  return called;
}

/// Does what is due before a wait. Whether nothing is pending afterwards.
bool ReactorCore::prepare_turn() {
  run_due_retries();
  apply_changes();
  // A loop that mostly sleeps until the next timer lets the wait end; one that is kept busy has the
  // kernel timer wake it, set once for many turns.
  if (interrupted_) set_kernel_timer();
  nothing_pending_ = batch_size_ == 0 && retries_.empty() && !timers_need_clock() &&
                     !process_events_pending() && tracer_ == nullptr;
  return nothing_pending_;
}

std::size_t ReactorCore::full_turn(time_point deadline, std::error_code& error) {
  if (batch_size_ == 0) {  // else fetched by check(), and not dispatched yet
    const bool may_sleep = wakeup_.about_to_sleep() && !process_events_pending();
    const time_point due = timers_need_clock() ? next_due() : retries_.next();
    const Timeout timeout = may_sleep ? until(std::min(deadline, due)) : Timeout::zero();
    const std::uint32_t count = wait(timeout, error);
    interrupted_ = count != 0;
    prepare_batch(count, error);
  }
  return dispatch();
}

inline std::size_t ReactorCore::turn(time_point deadline, std::error_code& error) {
  ++turn_;
  if (!nothing_pending_ && !prepare_turn()) return full_turn(deadline, error);
  const Timeout timeout = wakeup_.about_to_sleep() ? until(deadline) : Timeout::zero();
  const std::uint32_t count = wait(timeout, error);
  if (count == 0 && wakeup_.pending() == 0) return 0;
  if (count == 1 && wakeup_.pending() == 0) {
    // The common case: nothing to merge the report with, and nobody to look at ahead of it.
    const RawEvent& event = batch_[0];
    Slot* const slot = table_.find(event.token);
    if (slot != nullptr && slot->installed != RawInterest::none)
      return deliver_one(event.token, *slot, event.ready) ? 1 : dispatch();
  }
  prepare_batch(count, error);
  return dispatch();
}

std::size_t ReactorCore::run(time_point deadline, bool once, std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;
  if (prepared_) reschedule();  // from inside the other loop: posts do not wake it meanwhile

  const Running running{*this};
  const bool for_ever = !once && deadline == time_point::max();
  std::size_t called = 0;
  while (!stopped()) {
    woken_ = false;
    called += turn(deadline, error);
    if (error) {
      if (woken_) wakeup_.mark(Wakeup::wake);  // who tries again is woken
      break;
    }
    if (for_ever && wakeup_.pending() == 0) continue;
    if (once && (woken_ || called > 0)) break;
    if (deadline != time_point::max() && until(deadline).is_zero()) break;
  }
  return called;
}

std::error_code ReactorCore::refusal_to_run() const noexcept {
  if (backend_ && running_) return Errc::already_running;
  return refusal_to_register();
}

std::size_t ReactorCore::run_posted() {
  std::size_t called = 0;
  while (const PostQueue::Task task = posts_->next()) {
    ++called;
    ++stats_.posts;
    task->call();
    if (stopped()) break;
  }
  return called;
}

bool ReactorCore::check(std::error_code& error) {
  error = refusal_to_run();
  if (error) return false;
  prepared_.reset();
  ++turn_;
  apply_changes();
  if (batch_size_ == 0) prepare_batch(wait(Timeout::zero(), error), error);
  nothing_pending_ = false;
  if (batch_size_ != 0 || wakeup_.pending() != 0 || process_events_pending() || error) return true;
  return !timers_.empty() && timers_.next() <= options_.clock();
}

std::size_t ReactorCore::dispatch_checked(std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;
  prepared_.reset();
  kernel_timer_due_ = time_point::max();  // the other loop goes by the clock
  const Running running{*this};
  return stopped() ? 0 : dispatch();
}

/// Out of line: most turns wait for as long as it takes.
Timeout ReactorCore::from_now_until(time_point time) const noexcept {
  // What is longest would be without an end.
  constexpr auto longest = std::chrono::nanoseconds::max() - std::chrono::nanoseconds{1};
  return Timeout{std::min(between(options_.clock(), time), longest)};
}

ReactorCore::time_point ReactorCore::from_now(std::chrono::nanoseconds duration) const noexcept {
  return later(options_.clock(), duration);
}

}  // namespace pollux::detail
