// SPDX-License-Identifier: MIT
// One turn, from top to bottom: apply changes → wait → merge by slot → look → dispatch: watches,
// signals and children, timers, what was posted.
#include "reactor_core.hpp"

#include <algorithm>
#include <utility>

#include <pollux/error.hpp>

#include "os/os.hpp"

namespace pollux::detail {

/// While turns are run: a second run from inside a handler is refused, and a stop() is used up.
class ReactorCore::Running {
 public:
  explicit Running(ReactorCore& core) : core_{core} { core_.running_ = true; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    core_.running_ = false;
    core_.stop_.store(false, std::memory_order_relaxed);
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
      if (slot->state.mute == Mute::all) {
        slot->state.mute = Mute::none;
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

std::size_t ReactorCore::run(std::optional<time_point> deadline, bool once,
                             std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;

  const Running running{*this};
  std::size_t called = 0;
  while (!stopped()) {
    called += turn(deadline, error);
    if (error) break;
    const bool awoken = woken_ && wake_.exchange(false, std::memory_order_relaxed);
    if (once && (awoken || called > 0)) break;
    if (deadline && (*deadline == time_point::min() || options_.clock() >= *deadline)) break;
  }
  return called;
}

std::size_t ReactorCore::turn(std::optional<time_point> deadline, std::error_code& error) {
  ++stats_.turns;
  if (!lookout_.empty()) look_again_due();
  if (!changed_.empty()) apply_changes();
  const bool may_sleep = posts_->about_to_sleep() && !notices_wait();
  fetch(may_sleep ? time_left(deadline) : Timeout::zero(), error);
  return dispatch();
}

/// `error` is set if there is one, and else left as it is.
void ReactorCore::fetch(Timeout timeout, std::error_code& error) {
  if (batch_size_ != 0) return;  // fetched by check(), and not dispatched yet
  ++stats_.waits;
  const WaitResult result = backend_->wait(batch_, timeout);
  posts_->awake();
  if (prepared_) reschedule();  // run*() from inside the other loop: it is not told of posts now
  woken_ = result.woken;
  stats_.reports += result.count;
  if (result.error != 0) {
    error = os::error_code(result.error);
    return;
  }
  if (!merge(result.count)) error = rebuild();
  if (batch_size_ > 1) look_ahead();
}

std::error_code ReactorCore::refusal_to_register() const noexcept {
  if (!backend_) return Errc::reactor_closed;
  if (forked()) return Errc::forked;
  return {};
}

std::error_code ReactorCore::refusal_to_run() const noexcept {
  if (backend_ && running_) return Errc::already_running;
  return refusal_to_register();
}

/// Until the deadline, the next timer or the next look, whichever is first. The clock is read only
/// where one of them is.
Timeout ReactorCore::time_left(std::optional<time_point> deadline) noexcept {
  time_point until = deadline.value_or(time_point::max());
  if (!lookout_.empty()) until = std::min(until, lookout_.next());
  if (!timers_.empty()) until = std::min(until, timers_.next());
  if (until == time_point::max()) return Timeout::infinite();
  if (until == time_point::min()) return Timeout::zero();
  return Timeout{until - options_.clock()};
}

/// False if something was reported that the kernel's set should have forgotten.
bool ReactorCore::merge(std::uint32_t count) {
  const std::uint64_t stale_before = stats_.stale_reports;
  for (std::uint32_t i = 0; i < count; ++i) {
    const RawEvent event = batch_[i];
    if (tracer_ != nullptr) tracer_->reported(options_.clock(), event.token, event.ready);
    Slot* slot = table_.find(event.token);
    // Nothing has been unwatched since the wait: what is reported for a token that names nothing,
    // or for a slot outside the set, is a registration that could not be removed (its descriptor
    // was closed first, and a duplicate keeps it alive).
    if (slot == nullptr || slot->installed == RawInterest::none) {
      ++stats_.stale_reports;
      continue;
    }
    if (slot->ready == RawReady::none) batch_[batch_size_++] = event;
    slot->ready |= event.ready;
  }
  return stats_.stale_reports == stale_before;
}

/// Of several reports: looks at all streams before the first handler runs, so that what a handler
/// does to another watch's stream has the same effect whether the backend looks or is told by the
/// kernel. Where a hang-up or error shows, the look takes the code out of the kernel, and is left
/// to dispatch.
void ReactorCore::look_ahead() {
  const RawReady worth_a_look = knows_fin_ ? RawReady::rdhup : RawReady::in;
  for (std::uint32_t i = 0; i < batch_size_; ++i) {
    const std::uint32_t index = batch_[i].token.slot;
    Slot& slot = table_.slot(index);
    if (!slot.stream || !any(slot.ready, worth_a_look) ||
        any(slot.ready, RawReady::hup | RawReady::err))
      continue;
    Findings found{.ready = slot.ready};
    if (Lifecycle{traits(slot), slot.interest, slot.state, found}.step().probe == Probe::inbound &&
        probe(index, Probe::inbound, found)) {
      slot.inbound = found.inbound;
      if (found.error != 0) slot.pending_error = found.error;  // it failed after the wait
    }
  }
}

std::size_t ReactorCore::dispatch() {
  collect_notices();
  std::size_t called = tell_batch();
  if (notices_.any_due() && !stopped()) called += tell_notices();
  if (!timers_.empty() && !stopped()) called += fire_timers();
  if (!posts_->empty() && !stopped()) called += run_posted();
  return called;
}

std::size_t ReactorCore::tell_batch() {
  std::size_t called = 0;
  Dispatching batch{*this};
  while (!batch.done()) {
    if (dispatch_one(batch.next())) ++called;
    if (stopped()) break;
  }
  return called;
}

std::size_t ReactorCore::run_posted() {
  std::size_t called = 0;
  posts_->collect();
  while (std::optional<AnyHandler> task = posts_->next()) {
    ++called;
    ++stats_.posts;
    task->call(nullptr);
    if (stopped()) break;
  }
  return called;
}

std::size_t ReactorCore::dispatch_checked(std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;
  prepared_.reset();
  const Running running{*this};
  return dispatch();
}

ReactorCore::time_point ReactorCore::from_now(std::chrono::nanoseconds duration) const noexcept {
  return later(options_.clock(), duration);
}

void ReactorCore::stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  if (backend_) backend_->wake();
}

void ReactorCore::wake() noexcept {
  wake_.store(true, std::memory_order_relaxed);
  if (backend_) backend_->wake();
}

}  // namespace pollux::detail
