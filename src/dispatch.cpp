// SPDX-License-Identifier: MIT
// One report: what it means (src/lifecycle.hpp decides), and whom it is told.
#include <utility>

#include "os/os.hpp"
#include "reactor_core.hpp"

namespace pollux::detail {

bool ReactorCore::dispatch_one(Token token) {
  Slot* slot = table_.find(token);
  if (slot == nullptr) return false;  // unwatched by a handler of this turn
  const RawReady ready = std::exchange(slot->ready, RawReady::none);
  if (slot->closed) return false;
  // Nobody tells when a descriptor is closed under its watch; with a duplicate alive, or the number
  // given out again, it could go on being reported for ever. Once in 256 reports the backend is
  // asked.
  const bool edges = any(slot->interest, Interest::edge);  // asking would make a new one
  if (!edges && ++slot->reports == 0 && is_gone(install(token.slot, slot->installed))) {
    note_closed(token.slot);
    return false;
  }
  if (slot->own) {
    slot->handler.call(nullptr);
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
  if (tracer_ != nullptr) tracer_->told(options_.clock(), table_.token(index), readiness);
  call(index, slot, &readiness);
  return true;
}

bool ReactorCore::tell_stream(std::uint32_t index, Slot& slot, RawReady ready) {
  if (is_plain_bytes(traits(slot), slot.interest, slot.state, ready)) {
    slot.inbound = Inbound::unknown;
    slot.backoff = 0;
    tell(index, slot, StreamEvent{Event::readable});
    return true;
  }
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
  tell(index, slot,
       StreamEvent{verdict.events, failed ? os::error_code(found.error) : std::error_code{}});
  return true;
}

void ReactorCore::tell(std::uint32_t index, Slot& slot, const StreamEvent& event) {
  if (tracer_ != nullptr) tracer_->told(options_.clock(), table_.token(index), event);
  call(index, slot, &event);
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
  ++stats_.probes;
  switch (wanted) {
    case Probe::inbound: {
      // Before a byte of another file is taken for this stream's: a number looked up anew in each
      // call may have been given out again.
      if (!knows_fin_ && is_gone(install(index, slot.installed))) return false;
      const auto answer = os::probe_inbound(slot.handle, slot.kind, stats_.system_calls);
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
      const auto answer = os::probe_outbound(slot.handle, stats_.system_calls);
      found.outbound = answer.found;
      if (answer.error != 0) found.error = answer.error;
      return !answer.gone;
    }
    case Probe::peer_fin:
      found.peer_fin = os::probe_peer_fin(slot.handle, stats_.system_calls);
      return true;
    case Probe::error:
      found.error_known = true;
      found.error = slot.pending_error != 0
                        ? std::exchange(slot.pending_error, 0)
                        : os::take_error(slot.handle, slot.kind, stats_.system_calls);
      return true;
    case Probe::none:
      return true;
  }
  return true;
}

void ReactorCore::call(std::uint32_t index, Slot& slot, const void* event) {
  if (any(slot.interest, Interest::one_shot)) {
    // Before the call: the handler may ask anew. What it leaves as it was costs no system call.
    slot.interest = Interest::none;
    slot.state.mute = Mute::none;
    note_change(index);
    cancel_look(index);
  }
  const WhileCalled called{table_, calling_, index};
  ++stats_.events;
  slot.handler.call(event);
}

}  // namespace pollux::detail
