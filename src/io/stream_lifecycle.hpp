// SPDX-License-Identifier: MIT
// The one decision: what raw readiness means for a byte stream (docs/contract.md). A pure function
// from state and findings to events and the next state; where it needs to know more it names the
// probe, and is asked again with the answer. No system call, no backend, no kernel's word in it.
#pragma once

#include <bit>
#include <cstdint>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>

#include "platform/stream_state.hpp"

namespace pollux::detail {

/// What does not change while a stream is watched.
struct Traits {
  StreamKind kind = StreamKind::socket;
  bool knows_fin = false;   ///< the backend reports rdhup: a plain `in` means bytes
  bool knows_over = false;  ///< the backend's hup says that both directions are over
  bool reports_failures_unasked =
      false;                  ///< hang-up and error are reported also if nothing is asked for
  bool shows_urgent = false;  ///< an urgent byte makes it readable, and can be asked for
  bool silent = false;        ///< no report shows that its owner has ended a side, or both are over
};

/// What can be asked about a stream.
enum class Probe : std::uint8_t {
  none,
  inbound,   ///< is a byte there, is it the end, has it failed?
  outbound,  ///< may one still write, and is there room?
  peer_fin,  ///< has the peer's FIN arrived, as the protocol's own state has it?
  standing,  ///< does the connection go on, although an error bit is up?
  error,     ///< the pending error; fetching it clears it
};

/// What is known in this turn. `error` is the system's number for the failure that a probe came
/// upon, whichever it was; 0 is none.
struct Observation {
  RawReady ready = RawReady::none;
  Inbound inbound = Inbound::unknown;
  Outbound outbound = Outbound::unknown;
  PeerFin peer_fin = PeerFin::unknown;
  Standing standing = Standing::unknown;
  bool error_known = false;
  int error = 0;
  /// What was reported of late has led to nothing: `in` is no promise of bytes.
  bool doubted = false;
};

/// What keeps a condition that stays up, and says nothing new, from waking the loop again and
/// again.
enum class Mask : std::uint8_t {
  none,
  hint,  ///< the bit asked for only as a hint at the peer's FIN is not asked for
  all,  ///< a hang-up or error bit that nobody can ask away: edge-triggered, or else out of the set
};

/// Where in its life a stream is.
struct State {
  bool ended : 1 = false;                  ///< end_of_stream was reported
  bool peer_closed_delivered : 1 = false;  ///< peer_closed was reported
  bool over : 1 = false;                   ///< hangup was reported: the last event
  bool parked : 1 = false;  ///< over with bytes unread, paused: waits for reading to resume
  Mask mask : 4 = Mask::none;

  /// Nothing has been delivered that changes what can come.
  constexpr bool is_fresh() const {
    return std::bit_cast<std::uint8_t>(*this) == std::bit_cast<std::uint8_t>(State{});
  }
  friend constexpr bool operator==(const State&, const State&) = default;
};

/// Whether bytes are to be delivered.
constexpr bool is_reading(const Traits& traits, Interest interest, const State& state) {
  return any(interest, Interest::readable) && !state.ended &&
         traits.kind != StreamKind::pipe_writer;
}

/// Whether the peer's FIN is to be delivered, and has not been.
constexpr bool awaits_fin(const Traits& traits, Interest interest, const State& state) {
  return any(interest, Interest::peer_closed) && traits.kind == StreamKind::socket &&
         !state.ended && !state.peer_closed_delivered;
}

/// Whether the peer's FIN has to show that both directions are over.
constexpr bool finds_over_by_fin(const Traits& traits, const State& state) {
  return traits.silent && traits.knows_fin && !state.ended;
}

/// What the kernel is to be asked for, so that exactly the events that can still come wake the
/// loop.
constexpr RawInterest raw_interest(const Traits& traits, Interest interest, const State& state) {
  if (state.over || state.parked) return RawInterest::none;
  const bool socket = traits.kind == StreamKind::socket;
  RawInterest bits = RawInterest::none;
  if (is_reading(traits, interest, state)) {
    bits |= RawInterest::in;
    if (traits.knows_fin && socket) bits |= RawInterest::rdhup;
    if (traits.knows_fin && traits.shows_urgent) bits |= RawInterest::pri;
  } else if (state.mask != Mask::hint &&
             (awaits_fin(traits, interest, state) || finds_over_by_fin(traits, state))) {
    bits |= traits.knows_fin ? RawInterest::rdhup : RawInterest::in;
  }
  if (any(interest, Interest::writable)) bits |= RawInterest::out;
  // A kernel that reports nothing unasked is asked for more, so that it reports failures: most of
  // them make a stream readable.
  if (!traits.reports_failures_unasked && state.mask != Mask::hint)
    bits |= traits.kind == StreamKind::pipe_writer ? RawInterest::out : RawInterest::in;
  if (bits == RawInterest::none) bits = RawInterest::hup;
  if (state.mask == Mask::all) bits |= RawInterest::edge;
  return bits;
}

/// The answer: either a probe to make first, or events (with Observation::error) and the state
/// after them.
struct Decision {
  Probe probe = Probe::none;
  Event events = Event::none;
  State state;
};

/// Whether a stream's reports can be delivered without a probe, as long as is_fast_path() says so.
constexpr bool can_take_fast_path(const Traits& traits) {
  return traits.knows_fin && traits.reports_failures_unasked && !traits.silent &&
         (traits.kind == StreamKind::socket || traits.kind == StreamKind::pipe_reader);
}

/// The decision for one turn. Every function below answers for one phase of the life.
class Lifecycle {
 public:
  constexpr Lifecycle(const Traits& traits, Interest interest, State state,
                      const Observation& found)
      : traits_{traits}, interest_{interest}, state_{state}, found_{found} {}

  constexpr Decision step() const {
    // Nothing follows hangup, and a parked stream is outside the kernel's set.
    if (state_.over || state_.parked) return {Probe::none, Event::none, state_};
    if (is_err_alone()) [[unlikely]]
      return beside_an_error();
    return in_its_phase();
  }

 private:
  enum class Answer : std::uint8_t { unknown, no, yes };

  constexpr Decision in_its_phase() const {
    if (traits_.kind == StreamKind::pipe_writer) return writing_end();
    if (state_.ended) return after_end();
    if (any(interest_, Interest::readable)) return while_reading();
    return while_paused();
  }

  /// Of a connection that has failed the kernel says hang-up too. An error alone may be none of the
  /// connection's, and is asked about before anything that would take it.
  constexpr bool is_err_alone() const {
    return is_socket() && saw(RawReady::err) && !saw(RawReady::hup);
  }
  constexpr Decision beside_an_error() const {
    if (found_.standing == Standing::unknown) return ask(Probe::standing);
    if (found_.standing == Standing::doubtful) return in_its_phase();
    Observation others = found_;
    others.ready = without(found_.ready, RawReady::err);
    Decision decision = Lifecycle{traits_, interest_, state_, others}.in_its_phase();
    const bool by_right = any(decision.events, Event::readable | Event::writable);
    if (decision.probe == Probe::none && !by_right) decision.state.mask = Mask::all;
    return decision;
  }

  constexpr bool saw(RawReady bits) const { return any(found_.ready, bits); }
  constexpr bool saw_hup_or_err() const { return saw(RawReady::hup | RawReady::err); }
  constexpr bool is_good() const { return found_.standing == Standing::good; }
  /// The bit that is asked for only so that failures wake the loop, where the kernel does not
  /// report them unasked.
  constexpr bool saw_probe_bit() const {
    return !traits_.reports_failures_unasked && saw(RawReady::in);
  }
  constexpr bool may_be_over() const {
    return saw_hup_or_err() || (saw_probe_bit() && !is_good()) || fin_may_be_the_last();
  }
  /// The peer's FIN, where nothing shows but it that both directions are over.
  constexpr bool fin_may_be_the_last() const {
    return finds_over_by_fin(traits_, state_) && saw(RawReady::rdhup);
  }
  constexpr bool is_fin_known() const { return traits_.knows_fin && saw(RawReady::rdhup); }
  constexpr bool is_socket() const { return traits_.kind == StreamKind::socket; }
  constexpr bool wants_writable() const { return any(interest_, Interest::writable); }
  constexpr bool wants_peer_closed() const {
    return any(interest_, Interest::peer_closed) && !state_.peer_closed_delivered;
  }

  static constexpr Decision ask(Probe probe) {
    Decision decision;
    decision.probe = probe;
    return decision;
  }

  /// The events so far, and `writable` if it is true and asked for.
  constexpr Decision report(Event events) const {
    State next = state_;
    if (any(events, Event::end_of_stream)) next.ended = true;
    if (any(events, Event::peer_closed)) next.peer_closed_delivered = true;
    if (!wants_writable()) return {Probe::none, events, next};

    bool writable = saw(RawReady::out);
    if (saw_hup_or_err()) {
      // Beside a hang-up a write makes no progress. But a foreign hup may be a mere half-close, and
      // hide `out`: then a probe decides.
      if (!is_socket()) {
        writable = false;
      } else if (traits_.knows_over) {
        writable = writable && !saw(RawReady::hup);
      } else {
        if (found_.outbound == Outbound::unknown) return ask(Probe::outbound);
        writable = found_.outbound == Outbound::open ||
                   (found_.outbound == Outbound::over && !is_fin_known());
      }
    }
    if (writable) events |= Event::writable;
    return {Probe::none, events, next};
  }

  /// As report(), where a bit is up that leads to no event. If nothing else keeps the loop
  /// turning by right, that bit must not.
  constexpr Decision report_and_mask(Event events) const {
    Decision decision = report(events);
    if (decision.probe != Probe::none) return decision;
    if (saw_hup_or_err()) {
      const bool by_right = any(decision.events, Event::readable | Event::writable);
      if (!by_right) decision.state.mask = Mask::all;
    } else if (is_hint_asked_for(decision.state)) {
      decision.state.mask = Mask::hint;
    }
    return decision;
  }

  /// Whether the kernel would be asked for a bit that leads to no event.
  constexpr bool is_hint_asked_for(State state) const {
    if (state.mask == Mask::hint || is_reading(traits_, interest_, state)) return false;
    if (awaits_fin(traits_, interest_, state) || finds_over_by_fin(traits_, state)) return true;
    // Not if it is asked for anyhow.
    const bool writing = traits_.kind == StreamKind::pipe_writer && wants_writable();
    return !traits_.reports_failures_unasked && !writing;
  }

  constexpr Decision fail(Event before) const { return last(before | Event::error); }
  constexpr Decision last(Event before) const {
    State next = state_;
    next.over = true;
    if (any(before, Event::end_of_stream)) next.ended = true;
    return {Probe::none, before | Event::hangup, next};
  }

  /// A pipe's writing end can only be writable or broken; the probe for its error says how.
  constexpr Decision writing_end() const {
    const bool may_be_broken =
        saw_hup_or_err() || (!traits_.reports_failures_unasked && saw(RawReady::out));
    if (may_be_broken && !found_.error_known) return ask(Probe::error);
    return found_.error != 0 ? fail(Event::none) : report_and_mask(Event::none);
  }

  /// The bytes that are queued come first, whatever else is true.
  constexpr Decision while_reading() const {
    const bool native =
        traits_.knows_fin && traits_.kind != StreamKind::terminal && !found_.doubted;
    if (native && !saw(RawReady::rdhup | RawReady::hup | RawReady::err))
      return report(saw(RawReady::in) ? Event::readable : Event::none);  // bytes, and no end near
    if (!native && !saw(RawReady::in | RawReady::hup | RawReady::err))
      return report(Event::none);  // at most writable

    switch (found_.inbound) {
      case Inbound::unknown:
        return ask(Probe::inbound);
      case Inbound::bytes:
        return reading_bytes();
      case Inbound::end:
        return reading_end();
      case Inbound::failed:
        return fail(Event::none);
      case Inbound::empty:
        break;
    }
    // Nothing to read: stale, or ERR with a failure that has its code in the pending error only, or
    // with a notice in the error queue, which is none.
    if (!saw_hup_or_err()) return report(Event::none);
    if (is_socket() && !found_.error_known) return ask(Probe::error);
    return found_.error != 0 ? fail(Event::none) : report_and_mask(Event::none);
  }

  constexpr Decision reading_bytes() const {
    Event events = Event::readable;
    if (wants_peer_closed()) {
      const Answer fin = fin_behind_bytes();
      if (fin == Answer::unknown) return ask(Probe::peer_fin);
      if (fin == Answer::yes) events |= Event::peer_closed;
    }
    const bool may_be_over = saw_hup_or_err() || fin_may_be_the_last();
    if (may_be_over && wants_writable() && is_socket() && !traits_.knows_over) {
      // A zero send would take the error of a reset, which belongs behind the bytes. Where the
      // protocol has a state to ask, that goes first.
      if (found_.peer_fin == PeerFin::unknown) return ask(Probe::peer_fin);
      if (found_.peer_fin == PeerFin::closed) return without_room(events);
      if (found_.outbound == Outbound::unknown) return ask(Probe::outbound);
      if (both_over() == Answer::yes) return without_room(events);
    }
    return report(events);
  }

  /// A write makes no progress, whatever is reported.
  constexpr Decision without_room(Event events) const {
    Decision decision{Probe::none, events, state_};
    decision.state.peer_closed_delivered |= any(events, Event::peer_closed);
    return decision;
  }

  constexpr Decision reading_end() const {
    // The pending error first: a zero send takes it as well, and may show it as a mere EPIPE.
    if (must_fetch_error()) return ask(Probe::error);
    const Answer over = both_over();
    if (over == Answer::unknown) return ask(Probe::outbound);

    Event events = Event::end_of_stream;
    if (wants_peer_closed()) {
      const Answer fin = fin_at_end();
      if (fin == Answer::unknown) return ask(Probe::peer_fin);
      if (fin == Answer::yes) events |= Event::peer_closed;
    }
    if (found_.error != 0) return fail(events);  // FIN, and a reset after it
    return over == Answer::yes ? last(events) : report_and_mask(events);
  }

  /// Neither readable nor end_of_stream while paused; failures at once, and the end of both
  /// directions if nothing is unread.
  constexpr Decision while_paused() const {
    const RawReady fin_hint = traits_.knows_fin ? RawReady::rdhup : RawReady::in;
    const bool fin_hinted = is_socket() && wants_peer_closed() && saw(fin_hint);
    const bool may_be_over = this->may_be_over();
    if (!may_be_over && !fin_hinted) return report(Event::none);

    if (may_be_over && is_socket() && !is_good() && !found_.error_known && found_.error == 0)
      return ask(Probe::error);
    if (found_.error != 0) return fail(Event::none);
    // rdhup alone says all there is to say, whether bytes are unread or not.
    if (may_be_over || !traits_.knows_fin) {
      switch (found_.inbound) {
        case Inbound::unknown:
          return ask(Probe::inbound);
        case Inbound::failed:
          return fail(Event::none);
        case Inbound::empty:  // stale, or a notice in the error queue
          return saw_hup_or_err() ? report_and_mask(Event::none) : report(Event::none);
        case Inbound::bytes:
        case Inbound::end:
          break;
      }
    }
    const Answer over = may_be_over ? both_over() : Answer::no;
    if (over == Answer::unknown) return ask(Probe::outbound);
    if (found_.error != 0) return fail(Event::none);

    Event events = Event::none;
    // A typed end of a terminal waits until somebody reads: it can be followed by more.
    if (wants_peer_closed() && (is_socket() || over == Answer::yes)) {
      const Answer fin = found_.inbound == Inbound::end ? fin_at_end() : fin_behind_bytes();
      if (fin == Answer::unknown) return ask(Probe::peer_fin);
      if (fin == Answer::yes) events |= Event::peer_closed;
    }
    if (over == Answer::no) return report_and_mask(events);  // half-closed, or only bytes
    if (found_.inbound == Inbound::end) return last(events | Event::end_of_stream);
    State next = state_;
    next.parked = true;
    next.peer_closed_delivered |= any(events, Event::peer_closed);
    return {Probe::none, events, next};
  }

  /// What is left to come: room to write, a failure, the end of the outbound side too.
  constexpr Decision after_end() const {
    if (!may_be_over()) return report(Event::none);
    if (must_fetch_error()) return ask(Probe::error);
    const Answer over = both_over();
    if (over == Answer::unknown) return ask(Probe::outbound);
    if (found_.error != 0) return fail(Event::none);
    return over == Answer::yes ? last(Event::none) : report_and_mask(Event::none);
  }

  /// Before an end is declared: a backend that knows hang-up shows a pending error by a bit of its
  /// own; one that must guess may not have had a report of it.
  constexpr bool must_fetch_error() const {
    return is_socket() && !found_.error_known &&
           (saw_hup_or_err() || (!traits_.knows_over && !is_good()));
  }

  /// Whether both directions are over.
  constexpr Answer both_over() const {
    // A pipe has one direction; of a terminal the other side has gone.
    if (traits_.kind == StreamKind::pipe_reader)
      return saw_hup_or_err() || found_.inbound == Inbound::end ? Answer::yes : Answer::no;
    if (!is_socket()) return saw_hup_or_err() ? Answer::yes : Answer::no;
    if (traits_.knows_over) return saw(RawReady::hup) ? Answer::yes : Answer::no;
    switch (found_.outbound) {
      case Outbound::unknown:
        return Answer::unknown;
      case Outbound::open:
      case Outbound::full:
        return Answer::no;
      case Outbound::over:
        return state_.ended || found_.inbound == Inbound::end || is_fin_known() ? Answer::yes
                                                                                : Answer::no;
      case Outbound::both:
      case Outbound::failed:
        return Answer::yes;
    }
    return Answer::no;
  }

  /// Whether the peer's FIN is known to have come although bytes are unread.
  constexpr Answer fin_behind_bytes() const {
    // The writer of a pipe is gone, or a terminal was hung up.
    if (!is_socket()) return saw_hup_or_err() ? Answer::yes : Answer::no;
    // Natively a FIN shows itself; in a hang-up that means both ends too, if rdhup is not asked
    // for.
    const RawReady shown = traits_.knows_over ? RawReady::rdhup | RawReady::hup : RawReady::rdhup;
    if (traits_.knows_fin && !saw(shown)) return Answer::no;
    switch (found_.peer_fin) {
      case PeerFin::unknown:
        return Answer::unknown;
      case PeerFin::received:
        return Answer::yes;
      case PeerFin::not_received:
        return Answer::no;
      case PeerFin::closed:
      case PeerFin::untellable:
        // With an error this may be a reset and no FIN at all; that shows when the bytes are read.
        return traits_.knows_fin && !saw(RawReady::err) ? Answer::yes : Answer::no;
    }
    return Answer::no;
  }

  /// Whether an inbound side that has ended was ended by the peer, and not by our own SHUT_RD.
  constexpr Answer fin_at_end() const {
    if (!is_socket()) return Answer::yes;
    if (found_.peer_fin == PeerFin::unknown) return Answer::unknown;
    return found_.peer_fin == PeerFin::not_received ? Answer::no : Answer::yes;
  }

  Traits traits_;
  Interest interest_;
  State state_;
  Observation found_;
};

}  // namespace pollux::detail
