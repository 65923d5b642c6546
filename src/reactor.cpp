// SPDX-License-Identifier: MIT
// One turn, from top to bottom: apply changes → wait → merge by slot → look → dispatch.
#include "reactor_core.hpp"

#include <utility>

#include <pollux/error.hpp>

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
      }
    }
  }

  bool done() const { return next_ == core_.batch_size_; }
  Token next() { return core_.batch_[next_++].token; }

 private:
  ReactorCore& core_;
  std::uint32_t next_ = 0;
};

std::size_t ReactorCore::run(std::optional<time_point> deadline, bool once,
                             std::error_code& error) {
  error.clear();
  if (!backend_) error = Errc::reactor_closed;
  if (running_) error = Errc::already_running;
  if (error) return 0;

  const Running running{*this};
  std::size_t called = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    called += turn(timeout_until(deadline), error);
    if (error) break;
    const bool awoken = woken_ && wake_.exchange(false, std::memory_order_relaxed);
    if (once && (awoken || called > 0)) break;
    if (deadline && (*deadline == time_point::min() || options_.clock() >= *deadline)) break;
  }
  return called;
}

std::size_t ReactorCore::turn(Timeout timeout, std::error_code& error) {
  look_again_due();
  apply_changes();
  if (!lookout_.empty() && !timeout.is_zero()) {
    const Timeout look{lookout_.next() - options_.clock()};
    if (look.duration() < timeout.duration()) timeout = look;
  }
  batch_size_ = 0;
  const WaitResult result = backend_->wait(batch_, timeout);
  woken_ = result.woken;
  error = result.error ? result.error : merge(result.count);
  look_ahead();
  return dispatch();
}

Timeout ReactorCore::timeout_until(std::optional<time_point> deadline) const {
  if (!deadline) return Timeout::infinite();
  if (*deadline == time_point::min()) return Timeout::zero();
  return Timeout{*deadline - options_.clock()};
}

std::error_code ReactorCore::merge(std::uint32_t count) {
  bool stale = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const RawEvent event = batch_[i];
    Slot* slot = table_.find(event.token);
    // Nothing has been unwatched since the wait: what is reported for a token that names nothing,
    // or for a slot outside the set, is a registration that could not be removed (its descriptor
    // was closed first, and a duplicate keeps it alive).
    if (slot == nullptr || slot->installed == RawInterest::none) {
      stale = true;
      continue;
    }
    if (slot->ready == RawReady::none) batch_[batch_size_++] = event;
    slot->ready |= event.ready;
  }
  return stale ? rebuild() : std::error_code{};
}

/// Looks at all streams of the batch before the first handler runs, so that what a handler does to
/// another watch's stream has the same effect whether the backend looks or is told by the kernel.
/// Where a hang-up or error shows, the look takes the code out of the kernel, and is left to
/// dispatch.
void ReactorCore::look_ahead() {
  const RawReady worth_a_look = knows_fin_ ? RawReady::rdhup : RawReady::in;
  for (std::uint32_t i = 0; i < batch_size_ && batch_size_ > 1; ++i) {
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
  std::size_t called = 0;
  Dispatching batch{*this};
  while (!batch.done()) {
    if (dispatch_one(batch.next())) ++called;
    if (stop_.load(std::memory_order_relaxed)) break;
  }
  return called;
}

ReactorCore::time_point ReactorCore::deadline_after(std::chrono::nanoseconds duration) const {
  if (duration <= std::chrono::nanoseconds::zero()) return time_point::min();
  const time_point now = options_.clock();
  return duration < time_point::max() - now ? now + duration : time_point::max();
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
