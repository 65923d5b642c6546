// SPDX-License-Identifier: MIT
// A report that is more than bytes in the middle of a stream: what it means
// (src/io/stream_lifecycle.hpp decides), and what is delivered.
#include <utility>

#include "loop/reactor_core.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

/// Of several reports: looks at all streams before the first handler runs, so that what a handler
/// does to another watch's stream has the same effect whether the backend probes or has
/// the kernel report it. Where a hang-up or error shows, the look takes the code out of the kernel,
/// and is left to dispatch.
void ReactorCore::prefetch_probes() {
  const RawReady worth_a_look = knows_fin_ ? RawReady::rdhup : RawReady::in;
  for (std::uint32_t i = 0; i < batch_size_; ++i) {
    const std::uint32_t index = batch_[i].token.slot;
    Slot& slot = table_.slot(index);
    if (!slot.stream || !any(slot.ready, worth_a_look) ||
        any(slot.ready, RawReady::hup | RawReady::err))
      continue;
    // Natively an end shows itself, and only who reads asks what comes before it.
    Observation found{.ready = slot.ready};
    const bool asks =
        knows_fin_ ? is_reading(traits(slot), slot.interest, slot.state)
                   : Lifecycle{traits(slot), slot.interest, slot.state, found}.step().probe ==
                         Probe::inbound;
    if (asks && probe(index, slot, Probe::inbound, found) == platform::Outcome::answered) {
      slot.inbound = found.inbound;
      if (found.error != 0) slot.pending_error = found.error;  // it failed after the wait
    }
  }
}

/// Nothing reports that a descriptor is closed under its watch; with a duplicate alive, or the
/// number given out again, it could go on being reported for ever. Nor does a kernel say that it
/// calls a stream readable for what is no byte of it. Once in 256 reports both are asked.
bool ReactorCore::is_report_in_vain(std::uint32_t index, RawReady ready) {
  Slot& slot = table_.slot(index);
  if (slot.closed) return false;
  if (is_gone_from_kernel(index, slot)) {
    note_closed(index);
    return true;
  }
  if (!slot.stream || !slot.fast_path || !any(ready, RawReady::in)) return false;
  Observation found{.ready = ready};
  if (probe(index, slot, Probe::inbound, found) != platform::Outcome::answered) return false;
  if (found.error != 0) slot.pending_error = found.error;
  if (found.inbound != Inbound::empty) return false;
  slot.state.mask = Mask::all;
  note_change(index);
  return true;
}

/// Bits are up that lead to nothing, for whatever cause. Once or twice is chance: another handler
/// was faster. What goes on is masked until something new happens, and until then does not turn the
/// loop (rule 2). An exceptional condition that nobody asked for stays up by its nature.
bool ReactorCore::note_vain(std::uint32_t index, Slot& slot, RawReady ready) noexcept {
  constexpr std::uint8_t chance = 2;
  if (slot.state.mask == Mask::all || any(slot.interest, Interest::edge)) return false;
  if (slot.backoff < chance) ++slot.backoff;
  if (slot.backoff < chance && !any(ready, RawReady::pri)) return false;
  slot.state.mask = Mask::all;
  note_change(index);
  return false;
}

bool ReactorCore::deliver(std::uint32_t index, Slot& slot, RawReady ready) {
  if (slot.closed) return false;
  if (slot.internal) {
    slot.handler.call(nullptr);
    nothing_pending_ = false;
    return false;
  }
  return slot.stream ? deliver_to_stream(index, slot, ready)
                     : deliver_readiness(index, slot, ready);
}

bool ReactorCore::deliver_readiness(std::uint32_t index, Slot& slot, RawReady ready) {
  const Readiness readiness = readiness_of(ready, slot.interest);
  if (readiness == Readiness{Interest::none}) return note_vain(index, slot, ready);
  // A hint, or an exceptional condition, may stay up for long: alone it is delivered once, and
  // again when more has happened.
  const Mask mask = has_what_was_asked(ready, slot.interest) ? Mask::none : Mask::all;
  if (!any(slot.interest, Interest::edge) && slot.state.mask != mask) {
    slot.state.mask = mask;
    note_change(index);
  }
  if (mask == Mask::none) slot.backoff = 0;  // else it is retried less and less often
  if (tracer_ != nullptr) tracer_->told(options_.clock(), table_.token(index), readiness);
  call_handler(index, slot, &readiness);
  return true;
}

bool ReactorCore::deliver_to_stream(std::uint32_t index, Slot& slot, RawReady ready) {
  Observation found{.ready = ready, .inbound = std::exchange(slot.inbound, Inbound::unknown)};
  if (found.inbound == Inbound::failed) found.error = std::exchange(slot.pending_error, 0);
  if (knows_fin_) {
    slot.verified_in = epoch();
  } else if (!is_verified(slot) && is_gone_from_kernel(index, slot)) {
    // Where numbers are looked up anew in each call, what is reported may be another file's by now.
    note_closed(index);
    return false;
  }
  const State before = slot.state;
  if (before.mask == Mask::all) slot.state.mask = Mask::none;  // something has happened
  if (slot.type.has(Quirk::unasked)) learn_fin_number(slot);
  // An urgent byte is no byte of the stream, but makes an AF_UNIX socket readable.
  found.doubted = before.mask == Mask::all || any(ready, RawReady::pri);
  Decision decision;
  switch (decide(index, slot, found, decision)) {
    case platform::Outcome::answered:
      break;
    case platform::Outcome::gone:
      note_closed(index);
      return false;
    case platform::Outcome::refused:
      // Nothing is known, and so nothing is delivered. What is up must not turn the loop meanwhile.
      if (found.error != 0) slot.pending_error = found.error;
      slot.state.mask = Mask::all;
      note_change(index);
      schedule_retry(index);
      return false;
  }
  // What is masked stays so until it leads to an event. What no kernel call can wait for is
  // looked at all the same.
  if (before.mask == Mask::all && decision.events == Event::none && !decision.state.over &&
      !decision.state.parked) {
    if (decision.state.mask == Mask::hint) schedule_retry(index);
    decision.state.mask = Mask::all;
  }
  slot.state = decision.state;
  if (decision.state != before) {
    if (decision.state.over || decision.state.parked) {
      take_from_kernel(index);
      cancel_retry(index);
      end_detached(index);
      detach(index);
      if (decision.state.over) table_.drop_handle(slot.handle, index);
    } else {
      note_change(index);
      if (before.mask != Mask::hint && decision.state.mask == Mask::hint) schedule_retry(index);
      if (before.mask != Mask::none && decision.state.mask == Mask::none) cancel_retry(index);
    }
  }
  const bool failed = any(decision.events, Event::error);
  if (found.error != 0 && !failed) slot.pending_error = found.error;
  if (decision.events == Event::none)
    return decision.state == before ? note_vain(index, slot, ready) : false;
  slot.backoff = 0;
  const StreamEvent event{decision.events,
                          failed ? platform::error_code(found.error) : std::error_code{}};
  if (tracer_ != nullptr) tracer_->told(options_.clock(), table_.token(index), event);
  call_handler(index, slot, &event);
  return true;
}

/// Asks the lifecycle, and makes the probes it wants, until it knows; or until one fails, or shows
/// that the descriptor was closed.
platform::Outcome ReactorCore::decide(std::uint32_t index, Slot& slot, Observation& found,
                                      Decision& decision) {
  const Traits traits = this->traits(slot);
  while (true) {
    decision = Lifecycle{traits, slot.interest, slot.state, found}.step();
    if (decision.probe == Probe::none) return platform::Outcome::answered;
    const platform::Outcome outcome = probe(index, slot, decision.probe, found);
    if (outcome != platform::Outcome::answered) return outcome;
  }
}

/// A probe came upon an error, and so has taken it. Of a connection that has failed the kernel says
/// that it is over, and a backend mostly so. Without, the error may not be the connection's.
bool ReactorCore::is_none_of_its_own(const Slot& slot, RawReady ready) noexcept {
  return slot.type.kind == StreamKind::socket && !any(ready, RawReady::hup) &&
         platform::probe_standing(slot.handle, slot.type, RawReady::none, poller_,
                                  stats_.system_calls)
                 .found == Standing::good;
}

platform::Outcome ReactorCore::probe(std::uint32_t index, Slot& slot, Probe wanted,
                                     Observation& found) {
  ++stats_.probes;
  std::uint64_t& calls = stats_.system_calls;
  const auto known = [&] { return knows_over_ ? found.ready : RawReady::none; };
  if (wanted == Probe::inbound) {
    // Before a byte of another file is taken for this stream's.
    if (!knows_fin_ && slot.verified_in != epoch() && is_gone_from_kernel(index, slot))
      return platform::Outcome::gone;
    auto answer = platform::probe_inbound(slot.handle, slot.type, known(), poller_, calls);
    if (answer.found == Inbound::failed && is_none_of_its_own(slot, found.ready))
      answer = platform::probe_inbound(slot.handle, slot.type, known(), poller_, calls);
    if (answer.found == Inbound::unknown) return answer.outcome;
    found.inbound = answer.found;
    found.error = answer.error;
    // What an earlier probe took comes when the bytes before it have been read.
    if (slot.pending_error != 0 && answer.found != Inbound::bytes) {
      found.inbound = Inbound::failed;
      found.error = std::exchange(slot.pending_error, 0);
    }
    return platform::Outcome::answered;
  }
  switch (wanted) {
    case Probe::outbound: {
      auto answer = platform::probe_outbound(slot.handle, poller_, calls);
      if (answer.found == Outbound::failed && is_none_of_its_own(slot, found.ready))
        answer = platform::probe_outbound(slot.handle, poller_, calls);
      if (answer.outcome != platform::Outcome::answered) return answer.outcome;
      found.outbound = answer.found;
      if (answer.error != 0) found.error = answer.error;
      break;
    }
    case Probe::peer_fin: {
      const auto answer = platform::probe_peer_fin(slot.handle, slot.type, known(), poller_, calls);
      if (answer.outcome != platform::Outcome::answered) return answer.outcome;
      found.peer_fin = answer.found;
      if (answer.error != 0) found.error = answer.error;
      break;
    }
    case Probe::standing: {
      const auto answer = platform::probe_standing(slot.handle, slot.type, known(), poller_, calls);
      if (answer.outcome != platform::Outcome::answered) return answer.outcome;
      found.standing = answer.found;
      break;
    }
    case Probe::error:
      found.error_known = true;
      found.error = std::exchange(slot.pending_error, 0);
      if (found.error == 0) {
        const auto answer =
            platform::take_error(slot.handle, slot.type.kind, known(), poller_, calls);
        if (answer.outcome != platform::Outcome::answered) return answer.outcome;
        if (answer.found != 0 && !is_none_of_its_own(slot, found.ready)) found.error = answer.found;
      }
      break;
    case Probe::inbound:
    case Probe::none:
      break;
  }
  return platform::Outcome::answered;
}

StreamType ReactorCore::examine(NativeHandle handle, std::error_code& error) noexcept {
  StreamType type = platform::stream_type(handle, error, stats_.system_calls);
  if (!error && type.has(Quirk::multipath))
    platform::learn_fin_number(handle, type, poller_, stats_.system_calls);
  return type;
}

/// A connection made of several numbers its bytes; what the numbers say of an end must be known
/// before there is one.
void ReactorCore::learn_fin_number(Slot& slot) noexcept {
  platform::learn_fin_number(slot.handle, slot.type, poller_, stats_.system_calls);
  slot.fast_path = can_take_fast_path(traits(slot)) && !slot.type.has(Quirk::unasked);
}

void ReactorCore::call_handler(std::uint32_t index, Slot& slot, const void* event) {
  if (any(slot.interest, Interest::one_shot)) {
    // Before the call: the handler may ask anew. What it leaves as it was costs no system call.
    slot.interest = Interest::none;
    slot.state.mask = Mask::none;
    note_change(index);
    cancel_retry(index);
  }
  call(index, slot, event);
}

}  // namespace pollux::detail
