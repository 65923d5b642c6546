// SPDX-License-Identifier: MIT
// One turn, from top to bottom: apply changes → wait → merge by slot → look → decide → dispatch.
// Below it, the public face.
#include "reactor_core.hpp"

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/backends.hpp>
#include <pollux/error.hpp>

#include "os/os.hpp"

namespace pollux {

namespace detail {

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

/// While one handler runs: its slot may end, but lives until the handler has returned.
class ReactorCore::Calling {
 public:
  Calling(ReactorCore& core, std::uint32_t index) : core_{core} { core_.calling_ = index; }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;
  ~Calling() {
    const std::uint32_t index = std::exchange(core_.calling_, Slot::none);
    if (std::exchange(core_.calling_ended_, false)) core_.table_.release(index);
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

bool ReactorCore::dispatch_one(Token token) {
  Slot* slot = table_.find(token);
  if (slot == nullptr) return false;  // unwatched by a handler of this turn
  const RawReady ready = std::exchange(slot->ready, RawReady::none);
  if (slot->closed) return false;
  // Nobody tells when a descriptor is closed under its watch; with a duplicate alive, or the number
  // given out again, it could go on being reported for ever. Once in 256 reports the backend is
  // asked.
  if (++slot->reports == 0 && is_gone(install(token.slot, slot->installed))) {
    note_closed(token.slot);
    return false;
  }
  return slot->stream ? tell_stream(token.slot, *slot, ready)
                      : tell_readiness(token.slot, *slot, ready);
}

bool ReactorCore::tell_readiness(std::uint32_t index, Slot& slot, RawReady ready) {
  // Hang-up and error wake whichever was asked for: its owner's read or write must see them.
  const bool failed = any(ready, RawReady::hup | RawReady::err);
  Interest bits = Interest::none;
  if (failed || any(ready, RawReady::in | RawReady::rdhup)) bits |= Interest::readable;
  if (failed || any(ready, RawReady::out)) bits |= Interest::writable;
  bits &= slot.interest;
  if (bits == Interest::none) return false;
  const Readiness readiness{bits};
  call(index, slot, &readiness);
  return true;
}

bool ReactorCore::tell_stream(std::uint32_t index, Slot& slot, RawReady ready) {
  Findings found{.ready = ready, .inbound = std::exchange(slot.inbound, Inbound::unknown)};
  if (found.inbound == Inbound::failed) found.error = std::exchange(slot.pending_error, 0);
  const State before = slot.state;
  if (before.mute == Mute::all) slot.state.mute = Mute::none;  // something has happened
  Verdict verdict;
  if (!decide(index, found, verdict)) {
    note_closed(index);
    return false;
  }
  slot.state = verdict.state;
  if (verdict.state != before) {
    if (verdict.state.over || verdict.state.held) {
      take_from_kernel(index);
      cancel_look(index);
      if (verdict.state.over) table_.drop_handle(slot.handle, index);
    } else {
      note_change(index);
      if (before.mute == Mute::none &&
          (verdict.state.mute == Mute::hint || (verdict.state.mute == Mute::all && !can_edge_)))
        look_later(index);
      if (before.mute != Mute::none && verdict.state.mute == Mute::none) cancel_look(index);
    }
  }
  const bool failed = any(verdict.events, Event::error);
  if (found.error != 0 && !failed) slot.pending_error = found.error;
  if (verdict.events == Event::none) return false;
  slot.backoff = 0;
  const StreamEvent event{verdict.events, failed ? os::error_code(found.error) : std::error_code{}};
  call(index, slot, &event);
  return true;
}

/// Asks the lifecycle, and makes the probes it wants, until it knows. False if the descriptor turns
/// out to have been closed.
bool ReactorCore::decide(std::uint32_t index, Findings& found, Verdict& verdict) {
  const Slot& slot = table_.slot(index);
  while (true) {
    verdict = Lifecycle{traits(slot), slot.interest, slot.state, found}.step();
    if (verdict.probe == Probe::none) return true;
    if (!probe(index, verdict.probe, found)) return false;
  }
}

bool ReactorCore::probe(std::uint32_t index, Probe wanted, Findings& found) {
  Slot& slot = table_.slot(index);
  switch (wanted) {
    case Probe::inbound: {
      // Before a byte of another file is taken for this stream's: a number looked up anew in each
      // call may have been given out again.
      if (!knows_fin_ && is_gone(install(index, slot.installed))) return false;
      const auto answer = os::probe_inbound(slot.handle, slot.kind);
      found.inbound = answer.found;
      found.error = answer.error;
      // What an earlier probe took comes when the bytes before it have been read.
      if (slot.pending_error != 0 && answer.found != Inbound::bytes) {
        found.inbound = Inbound::failed;
        found.error = std::exchange(slot.pending_error, 0);
      }
      return !answer.gone;
    }
    case Probe::outbound: {
      const auto answer = os::probe_outbound(slot.handle);
      found.outbound = answer.found;
      if (answer.error != 0) found.error = answer.error;
      return !answer.gone;
    }
    case Probe::peer_fin:
      found.peer_fin = os::probe_peer_fin(slot.handle);
      return true;
    case Probe::error:
      found.error_known = true;
      found.error = slot.pending_error != 0 ? std::exchange(slot.pending_error, 0)
                                            : os::take_error(slot.handle, slot.kind);
      return true;
    case Probe::none:
      return true;
  }
  return true;
}

void ReactorCore::call(std::uint32_t index, Slot& slot, const void* event) {
  const Calling calling{*this, index};
  slot.handler.call(event);
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

}  // namespace detail

namespace {

/// Runs `call` with an error code, and throws what it reports.
template <class Call>
auto throwing(const char* what, Call call) {
  std::error_code error;
  auto result = call(error);
  if (error) throw std::system_error{error, what};
  return result;
}

}  // namespace

using detail::ReactorCore;

Reactor::Reactor() : Reactor{std::string_view{}} {}
Reactor::Reactor(std::error_code& error) : Reactor{std::string_view{}, error} {}
Reactor::Reactor(std::string_view backend, const ReactorOptions& options)
    : core_{throwing("pollux::Reactor", [&](std::error_code& error) {
        return std::make_shared<ReactorCore>(make_backend(backend, error), options);
      })} {}
Reactor::Reactor(std::string_view backend, std::error_code& error)
    : Reactor{backend, ReactorOptions{}, error} {}
Reactor::Reactor(std::string_view backend, const ReactorOptions& options, std::error_code& error)
    : core_{std::make_shared<ReactorCore>(make_backend(backend, error), options)} {}
Reactor::Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options)
    : core_{throwing("pollux::Reactor", [&](std::error_code& error) {
        if (!backend) error = refusal(std::errc::invalid_argument);
        return std::make_shared<ReactorCore>(std::move(backend), options);
      })} {}
Reactor::Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options,
                 std::error_code& error) {
  error = backend ? std::error_code{} : refusal(std::errc::invalid_argument);
  core_ = std::make_shared<ReactorCore>(std::move(backend), options);
}
Reactor::~Reactor() {
  core_->close();
}

Watch Reactor::watch(NativeHandle handle, Interest interest, Handler<Readiness> handler,
                     std::error_code& error) {
  return Watch{core_->watch(handle, interest, std::move(handler), false, error)};
}
StreamWatch Reactor::watch_stream(NativeHandle handle, Interest interest,
                                  Handler<StreamEvent> handler, std::error_code& error) {
  return StreamWatch{core_->watch(handle, interest, std::move(handler), true, error)};
}
std::size_t Reactor::run(std::error_code& error) {
  return core_->run(std::nullopt, false, error);
}
std::size_t Reactor::run_once(std::error_code& error) {
  return core_->run(std::nullopt, true, error);
}
std::size_t Reactor::run_once(std::chrono::nanoseconds timeout, std::error_code& error) {
  return core_->run(core_->deadline_after(timeout), true, error);
}
std::size_t Reactor::run_for(std::chrono::nanoseconds duration, std::error_code& error) {
  return core_->run(core_->deadline_after(duration), false, error);
}
std::size_t Reactor::poll(std::error_code& error) {
  return core_->run(ReactorCore::time_point::min(), true, error);
}

Watch Reactor::watch(NativeHandle handle, Interest interest, Handler<Readiness> handler) {
  return throwing("pollux::Reactor::watch", [&](std::error_code& error) {
    return watch(handle, interest, std::move(handler), error);
  });
}
StreamWatch Reactor::watch_stream(NativeHandle handle, Interest interest,
                                  Handler<StreamEvent> handler) {
  return throwing("pollux::Reactor::watch_stream", [&](std::error_code& error) {
    return watch_stream(handle, interest, std::move(handler), error);
  });
}
std::size_t Reactor::run() {
  return throwing("pollux::Reactor::run", [&](std::error_code& error) { return run(error); });
}
std::size_t Reactor::run_once() {
  return throwing("pollux::Reactor::run_once",
                  [&](std::error_code& error) { return run_once(error); });
}
std::size_t Reactor::run_once(std::chrono::nanoseconds timeout) {
  return throwing("pollux::Reactor::run_once",
                  [&](std::error_code& error) { return run_once(timeout, error); });
}
std::size_t Reactor::run_for(std::chrono::nanoseconds duration) {
  return throwing("pollux::Reactor::run_for",
                  [&](std::error_code& error) { return run_for(duration, error); });
}
std::size_t Reactor::poll() {
  return throwing("pollux::Reactor::poll", [&](std::error_code& error) { return poll(error); });
}

void Reactor::stop() noexcept {
  core_->stop();
}
void Reactor::wake() noexcept {
  core_->wake();
}

std::string_view Reactor::backend_name() const noexcept {
  return core_->backend() != nullptr ? core_->backend()->name() : std::string_view{};
}
RawReady Reactor::backend_reports() const noexcept {
  return core_->backend() != nullptr ? core_->backend()->reports() : RawReady::none;
}

}  // namespace pollux
