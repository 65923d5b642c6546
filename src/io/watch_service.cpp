// SPDX-License-Identifier: MIT
// A report that is more than bytes in the middle of a stream: what it means
// (io/stream_lifecycle.hpp decides), and what is delivered.
#include "io/watch_service.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace pollux::detail {

namespace {

/// Beside the bits of a recheck, which are no report, and not as good as one.
constexpr auto rechecked = static_cast<RawReady>(0x80);

/// Whether a readiness watch has what it asked for, and not only a hint: a read or a write does not
/// block. (At the end of a pipe Linux shows hup alone, and a read is 0.)
bool has_what_was_asked(RawReady ready, Interest asked) {
  return any(ready, RawReady::hup) ||
         (any(ready, RawReady::in) && any(asked, Interest::readable)) ||
         (any(ready, RawReady::out) && any(asked, Interest::writable));
}

/// What is delivered to a readiness watch.
Readiness readiness_of(RawReady ready, Interest asked) {
  const bool error = any(ready, RawReady::err);
  const bool hangup = any(ready, RawReady::hup);
  // Hang-up and error wake whichever was asked for: its owner's read or write must see them.
  Interest bits = Interest::none;
  if (error || hangup || any(ready, RawReady::in | RawReady::rdhup)) bits |= Interest::readable;
  if (error || hangup || any(ready, RawReady::out)) bits |= Interest::writable;
  if (any(ready, RawReady::pri)) bits |= Interest::priority;
  return Readiness{bits & asked, error, hangup};
}

}  // namespace

WatchService::WatchService(LoopContext& loop, const Capabilities& capabilities, std::uint32_t most)
    : loop_{loop},
      registrations_{loop, capabilities},
      batch_{std::make_unique<RawEvent[]>(std::max<std::uint32_t>(most, 1))},
      batch_room_{std::max<std::uint32_t>(most, 1)},
      reporting_{batch_.get()} {}

/// Goes through the batch. What stop() or an exception leaves undispatched is forgotten here and
/// reported anew by the next wait: registrations are level-triggered, or made so again.
class WatchService::Batch {
 public:
  explicit Batch(WatchService& of) : of_{of} {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() {
    while (!done()) {
      const Token token = next().token;
      Slot* slot = of_.table().find(token);
      if (slot == nullptr) continue;
      slot->ready = RawReady::none;
      slot->inbound = Inbound::unknown;
      if (slot->state.mask == Mask::all) {
        slot->state.mask = Mask::none;
        of_.set().note_change(token.slot);
      } else if (any(slot->interest, Interest::edge)) {
        of_.set().take_from_kernel(token.slot);  // and in again: a new edge
        of_.set().note_change(token.slot);
      }
    }
    of_.batch_size_ = 0;
    of_.reporting_ = of_.batch_.get();
  }

  bool done() const { return next_ == of_.batch_size_; }
  const RawEvent& next() {
    of_.reporting_ = &of_.batch_[next_++];
    return *of_.reporting_;
  }

 private:
  WatchService& of_;
  std::uint32_t next_ = 0;
};

std::size_t WatchService::deliver_batch() {
  std::size_t called = 0;
  LoopContext& loop = loop_;
  Batch batch{*this};
  if (set().has_rechecks()) {
    called = deliver_rechecks();
    if (loop.stopped()) return called;
  }
  while (!batch.done()) {
    const RawEvent& event = batch.next();
    Slot* const slot = table().find(event.token);
    if (slot == nullptr) continue;  // unwatched by a handler of this turn
    if (deliver_report(event.token.slot, *slot, std::exchange(slot->ready, RawReady::none)))
      ++called;
    if (loop.stopped()) break;
  }
  return called;
}

/// Of a watch that is in the batch.
RawEvent& WatchService::first_report(Token token) noexcept {
  std::uint32_t i = 0;
  while (batch_[i].token != token) ++i;
  return batch_[i];
}

void WatchService::merge(std::uint32_t count, std::error_code& error) {
  RawReady seen = RawReady::none;
  bool all_known = true;
  for (std::uint32_t i = 0; i < count; ++i) {
    const RawEvent& event = batch_[i];
    Slot* const slot = table().find(event.token);
    if (loop_.tracer != nullptr && (slot == nullptr || !slot->is_internal()))
      loop_.tracer->reported(loop_.now(), event.token, event.ready);
    // Nothing has been unwatched since the wait: what is reported for a token that names nothing,
    // or for a slot outside the set, is a registration that could not be removed (its descriptor
    // was closed first, and a duplicate keeps it alive).
    if (slot == nullptr || slot->installed == RawInterest::none) {
      ++loop_.stats.stale_reports;
      all_known = false;
      continue;
    }
    seen |= event.ready;
    const RawReady before = slot->ready;
    slot->ready |= event.ready;
    if (before != RawReady::none) {
      if (event.error != 0) first_report(event.token).error = event.error;
      continue;
    }
    if (batch_size_ != i) batch_[batch_size_] = event;
    ++batch_size_;
  }
  if (!all_known) error = set().rebuild();  // there is what the kernel's set should have forgotten
  if (batch_size_ > 1 && any(seen, set().capabilities().knows_fin ? RawReady::rdhup : RawReady::in))
    prefetch_probes();
}

std::size_t WatchService::deliver() {
  std::size_t called = deliver_batch();
  if (set().detached().edges_ready() && !loop_.stopped()) called += deliver_edges();
  return called;
}

/// Of these the kernel may have reported nothing: they are asked about. That comes before the
/// reports, which may be of room to write behind an end that shows in none, and together with the
/// watch's own. What a handler adds is for the next turn.
std::size_t WatchService::deliver_rechecks() {
  std::size_t called = 0;
  for (std::size_t left = set().rechecks(); left > 0 && !loop_.stopped(); --left) {
    const std::uint32_t index = set().take_recheck();
    Slot& slot = table().slot(index);
    if (!slot.used || slot.closed || slot.state.over) continue;
    RawReady ready = registrations_.prober().what_is_true(slot);
    if (ready == RawReady::none) continue;
    const Token token = table().token(index);
    if (loop_.tracer != nullptr) loop_.tracer->reported(loop_.now(), token, ready);
    if (slot.ready != RawReady::none) reporting_ = &first_report(token);
    ready |= std::exchange(slot.ready, RawReady::none);
    if (deliver_to_stream(index, slot, ready | rechecked)) ++called;
  }
  return called;
}

std::size_t WatchService::deliver_edges() {
  // One at a time: what is left, by stop() or an exception, is still to be had in the next turn.
  constexpr int most = 64;
  std::size_t called = 0;
  for (int i = 0; i < most && !loop_.stopped(); ++i) {
    const std::optional<RawEvent> event = set().detached().next_edge();
    if (!event) break;
    if (loop_.tracer != nullptr) loop_.tracer->reported(loop_.now(), event->token, event->ready);
    Slot* const slot = table().find(event->token);
    if (slot != nullptr && slot->outside == Outside::in_edge_set &&
        deliver_slowly(event->token.slot, *slot, event->ready))
      ++called;
  }
  return called;
}

/// Probes all streams of a batch before the first handler runs, so that what a handler does to
/// another watch's stream has the same effect whether the backend probes or the kernel reports.
/// Where a hang-up or an error shows, a probe would take the error out of the kernel: those streams
/// are probed when they are delivered.
void WatchService::prefetch_probes() {
  const bool knows_fin = set().capabilities().knows_fin;
  const RawReady worth_a_look = knows_fin ? RawReady::rdhup : RawReady::in;
  for (std::uint32_t i = 0; i < batch_size_; ++i) {
    const std::uint32_t index = batch_[i].token.slot;
    Slot& slot = table().slot(index);
    if (!slot.is_stream() || !any(slot.ready, worth_a_look) ||
        any(slot.ready, RawReady::hup | RawReady::err))
      continue;
    // A backend that knows FINs reports the end, and only a reading watch asks what comes before.
    Observation found{.ready = slot.ready};
    const bool asks =
        knows_fin ? is_reading(set().traits(slot), slot.interest, slot.state)
                  : Lifecycle{set().traits(slot), slot.interest, slot.state, found}.step().probe ==
                        Probe::inbound;
    if (asks && probe(index, slot, Probe::inbound, found) == platform::Outcome::answered) {
      slot.inbound = found.inbound;
      slot.keep_error(found.error);  // it failed after the wait
    }
  }
}

/// A watched descriptor may be closed without our knowing; a duplicate may keep it alive, or the
/// number may be in use again, and the kernel goes on reporting it. A kernel may also call a stream
/// readable for something that is no byte of it. Every 256th report, both are checked.
bool WatchService::is_report_in_vain(std::uint32_t index, RawReady ready) {
  Slot& slot = table().slot(index);
  if (slot.closed) return false;
  if (set().is_gone_from_kernel(index, slot)) {
    set().note_closed(index);
    return true;
  }
  if (!slot.is_stream() || !slot.fast_path || !any(ready, RawReady::in)) return false;
  Observation found{.ready = ready};
  if (probe(index, slot, Probe::inbound, found) != platform::Outcome::answered) return false;
  slot.keep_error(found.error);
  if (found.inbound == Inbound::empty) {
    mask(index, slot);
    return true;
  }
  // An end that no report shows: an own shutdown, behind which bytes have come that nobody can read
  // (Windows).
  const bool shows_an_end = any(ready, RawReady::rdhup | RawReady::hup | RawReady::err);
  if (found.inbound != Inbound::end || shows_an_end) return false;
  set().schedule_recheck(index);
  return true;
}

/// Bits are up that lead to nothing, for whatever cause. Once or twice is chance: another handler
/// was faster. What goes on is masked until something new happens, and until then does not turn the
/// loop (rule 2). An exceptional condition that nobody asked for stays up by its nature.
bool WatchService::note_vain(std::uint32_t index, Slot& slot, RawReady ready) noexcept {
  constexpr std::uint8_t chance = 2;
  if (ready == RawReady::none) return false;  // delivered with its recheck
  if (slot.state.mask == Mask::all || any(slot.interest, Interest::edge) || any(ready, rechecked))
    return false;
  if (slot.backoff < chance) ++slot.backoff;
  if (slot.backoff < chance && !any(ready, RawReady::pri)) return false;
  mask(index, slot);
  return false;
}

void WatchService::mask(std::uint32_t index, Slot& slot) noexcept {
  slot.state.mask = Mask::all;
  set().note_change(index);
  loop_.trace(table().token(index), slot.is_internal(), WatchChange::masked);
}

bool WatchService::deliver_slowly(std::uint32_t index, Slot& slot, RawReady ready) {
  if (slot.closed || ready == RawReady::none) return false;  // none: delivered with its recheck
  const bool counts = !slot.is_internal();  // run_once() waits for the handlers of users
  const bool called = slot.is_stream() ? deliver_to_stream(index, slot, ready)
                                       : deliver_readiness(index, slot, ready);
  return called && counts;
}

bool WatchService::deliver_readiness(std::uint32_t index, Slot& slot, RawReady ready) {
  const Readiness readiness = readiness_of(ready, slot.interest);
  if (readiness == Readiness{Interest::none}) return note_vain(index, slot, ready);
  // A hint, or an exceptional condition, may stay up for long: alone it is delivered once, and
  // again when more has happened.
  const Mask mask = has_what_was_asked(ready, slot.interest) ? Mask::none : Mask::all;
  if (!any(slot.interest, Interest::edge) && slot.state.mask != mask) {
    slot.state.mask = mask;
    set().note_change(index);
    if (mask == Mask::all)
      loop_.trace(table().token(index), slot.is_internal(), WatchChange::masked);
  }
  if (mask == Mask::none) slot.backoff = 0;  // else it is retried less and less often
  if (loop_.tracer != nullptr && !slot.is_internal())
    loop_.tracer->delivered(loop_.now(), table().token(index), readiness);
  call_handler(index, slot, &readiness);
  return true;
}

bool WatchService::deliver_to_stream(std::uint32_t index, Slot& slot, RawReady ready) {
  Observation found{.ready = ready, .inbound = std::exchange(slot.inbound, Inbound::unknown)};
  if (found.inbound == Inbound::failed) found.error = slot.take_error();
  if (set().capabilities().knows_fin) {
    slot.verified_in = set().epoch();
  } else if (!set().is_verified(slot) && set().is_gone_from_kernel(index, slot)) {
    // Such a backend passes numbers to each call: the report may be of another file by now.
    set().note_closed(index);
    return false;
  }
  const State before = slot.state;
  if (before.mask == Mask::all) slot.state.mask = Mask::none;  // something has happened
  if (slot.type.has(Quirk::unasked)) registrations_.learn_fin_number(slot);
  // An urgent byte is no byte of the stream, but makes an AF_UNIX socket readable.
  found.doubted = before.mask == Mask::all || any(ready, RawReady::pri | rechecked);
  Decision decision;
  switch (decide(index, slot, found, decision)) {
    case platform::Outcome::answered:
      break;
    case platform::Outcome::gone:
      set().note_closed(index);
      return false;
    case platform::Outcome::refused:
      // Nothing is known, and so nothing is delivered. What is up must not turn the loop meanwhile.
      slot.keep_error(found.error);
      mask(index, slot);
      set().schedule_retry(index);
      return false;
  }
  // A masked bit stays masked until it leads to an event. What no kernel call can wait for is
  // retried all the same.
  if (before.mask == Mask::all && decision.events == Event::none && !decision.state.over &&
      !decision.state.parked) {
    if (decision.state.mask == Mask::hint) set().schedule_retry(index);
    decision.state.mask = Mask::all;
  }
  slot.state = decision.state;
  if (decision.state != before) apply(index, before, decision.state);
  const bool failed = any(decision.events, Event::error);
  if (!failed) slot.keep_error(found.error);
  if (decision.events == Event::none)
    return decision.state == before ? note_vain(index, slot, ready) : false;
  slot.backoff = 0;
  const StreamEvent delivered{decision.events,
                              failed ? platform::error_code(found.error) : std::error_code{}};
  if (loop_.tracer != nullptr && !slot.is_internal())
    loop_.tracer->delivered(loop_.now(), table().token(index), delivered);
  call_handler(index, slot, &delivered);
  return true;
}

/// A stream has another state: so the kernel may be asked for something else.
void WatchService::apply(std::uint32_t index, State before, State after) {
  const bool internal = table().slot(index).is_internal();
  if (after.parked && !before.parked)
    loop_.trace(table().token(index), internal, WatchChange::parked);
  if (after.mask == Mask::all && before.mask != Mask::all)
    loop_.trace(table().token(index), internal, WatchChange::masked);
  if (after.over || after.parked) {
    set().note_over(index);
    if (after.over) table().drop_handle(table().slot(index).handle, index);
    return;
  }
  set().note_change(index);
  if (before.mask != Mask::hint && after.mask == Mask::hint) set().schedule_retry(index);
  if (before.mask != Mask::none && after.mask == Mask::none) set().cancel_retry(index);
}

/// Asks the lifecycle, and makes the probes it wants, until it knows; or until one fails, or shows
/// that the descriptor was closed.
platform::Outcome WatchService::decide(std::uint32_t index, Slot& slot, Observation& found,
                                       Decision& decision) {
  const Traits traits = set().traits(slot);
  while (true) {
    decision = Lifecycle{traits, slot.interest, slot.state, found}.step();
    if (decision.probe == Probe::none) return platform::Outcome::answered;
    const platform::Outcome outcome = probe(index, slot, decision.probe, found);
    if (outcome != platform::Outcome::answered) return outcome;
  }
}

platform::Outcome WatchService::probe(std::uint32_t index, Slot& slot, Probe wanted,
                                      Observation& found) {
  // Before a byte of another file is taken for this stream's.
  if (wanted == Probe::inbound && !set().capabilities().knows_fin &&
      slot.verified_in != set().epoch() && set().is_gone_from_kernel(index, slot))
    return platform::Outcome::gone;
  if (wanted == Probe::error) found.error = reported_error(index);
  return registrations_.prober().probe(slot, wanted, found);
}

/// What the kernel has brought along with the report that is being delivered, if with this one.
int WatchService::reported_error(std::uint32_t index) noexcept {
  return reporting_->token == table().token(index) ? reporting_->error : 0;
}

void WatchService::call_handler(std::uint32_t index, Slot& slot, const void* event) {
  if (any(slot.interest, Interest::one_shot)) {
    // Before the call: the handler may ask anew. What it leaves as it was costs no system call.
    const Interest before = std::exchange(slot.interest, Interest::none);
    slot.state.mask = Mask::none;
    set().note_change(index);
    set().cancel_retry(index);
    if (loop_.tracer != nullptr && !slot.is_internal())
      loop_.tracer->interest_changed(loop_.now(), table().token(index), before, Interest::none);
  }
  if (!slot.is_internal()) ++loop_.stats.events;
  if (loop_.tracer == nullptr || slot.is_internal()) return call(index, slot, event);
  const Token token = table().token(index);
  call(index, slot, event);
  if (loop_.tracer != nullptr) loop_.tracer->handler_returned(loop_.now(), token);
}

}  // namespace pollux::detail
