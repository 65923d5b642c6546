// SPDX-License-Identifier: MIT
// The state machine alone: every question it can be asked, with every answer that its probes can
// give, against the rules of docs/contract.md.
#include "io/stream_lifecycle.hpp"
#include "io/watch_service.hpp"

#include <array>
#include <cstdint>
#include <iostream>
#include <map>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace pollux::detail {

namespace {

constexpr int some_error = 5;

constexpr std::array all_kinds{StreamKind::socket, StreamKind::pipe_reader, StreamKind::pipe_writer,
                               StreamKind::terminal};
constexpr std::array all_inbound{Inbound::bytes, Inbound::empty, Inbound::end, Inbound::failed};
constexpr std::array all_outbound{Outbound::open, Outbound::full, Outbound::over, Outbound::both,
                                  Outbound::failed};
constexpr std::array all_peer_fin{PeerFin::not_received, PeerFin::received, PeerFin::closed,
                                  PeerFin::untellable};
constexpr std::array all_standings{Standing::good, Standing::doubtful};

/// What one step is asked.
struct Question {
  Traits traits;
  Interest interest = Interest::none;
  State state;
  Observation found;

  bool saw(RawReady bits) const { return any(found.ready, bits); }
  bool has_bit_that_stays_up() const { return saw(RawReady::hup | RawReady::err); }
  bool is_err_alone() const { return is_socket() && saw(RawReady::err) && !saw(RawReady::hup); }
  bool saw_hup_or_err() const {
    return saw(RawReady::hup) || (saw(RawReady::err) && found.standing != Standing::good);
  }
  bool wants(Interest bits) const { return any(interest, bits); }
  bool is_socket() const { return traits.kind == StreamKind::socket; }
  bool is_pipe_writer() const { return traits.kind == StreamKind::pipe_writer; }
  bool is_reading() const { return wants(Interest::readable) && !state.ended && !is_pipe_writer(); }
  bool is_settled() const { return state.over || state.parked; }
  /// A bit is up that may have been asked for only so that failures are delivered.
  bool saw_probe_bit() const {
    return !traits.reports_failures_unasked && saw(is_pipe_writer() ? RawReady::out : RawReady::in);
  }
  /// A plain `in` means bytes.
  bool shows_fin() const {
    return saw(RawReady::rdhup) || (traits.knows_over && saw(RawReady::hup));
  }
  bool believes_in() const { return traits.knows_fin && traits.kind != StreamKind::terminal; }
  /// The peer's FIN, behind which a stream whose own ends show in nothing may be over.
  bool is_fin_of_the_silent() const {
    return traits.silent && traits.knows_fin && !state.ended && saw(RawReady::rdhup);
  }
};

/// For whoever has to find out why: the numbers are those of the enumerations.
std::ostream& operator<<(std::ostream& out, const Question& q) {
  return out << "kind " << static_cast<int>(q.traits.kind) << " knows_fin " << q.traits.knows_fin
             << " knows_over " << q.traits.knows_over << " reports_failures_unasked "
             << q.traits.reports_failures_unasked << " silent " << q.traits.silent << ", interest "
             << to_string(q.interest) << ", ended " << q.state.ended << " told "
             << q.state.peer_closed_delivered << " over " << q.state.over << " parked "
             << q.state.parked << " mask " << static_cast<int>(q.state.mask) << ", ready "
             << static_cast<int>(q.found.ready) << ", inbound " << static_cast<int>(q.found.inbound)
             << " outbound " << static_cast<int>(q.found.outbound) << " peer_fin "
             << static_cast<int>(q.found.peer_fin) << " standing "
             << static_cast<int>(q.found.standing) << " error_known " << q.found.error_known
             << " error " << q.found.error;
}

/// Where one line of questions and answers ended.
struct Leaf {
  Question first;     ///< before any probe
  Observation found;  ///< with the answers to all probes
  Decision decision;
  unsigned asked = 0;  ///< the probes, as bits
  bool looked_ahead = false;

  bool delivers(Event bits) const { return any(decision.events, bits); }
  bool has_asked(Probe probe) const { return (asked >> static_cast<unsigned>(probe) & 1u) != 0; }
  bool has_asked_only(Probe probe) const { return asked == 1u << static_cast<unsigned>(probe); }
  State next() const { return decision.state; }
  /// Looked at before another handler paused the stream: what was seen is said by the hang-up that
  /// comes.
  bool paused_meanwhile() const { return looked_ahead && !first.wants(Interest::readable); }
};

/// The name of a broken rule; empty if all is well.
using Complaint = std::string_view;

/// Nothing ever comes in through a pipe's writing end, and only sockets are asked for a FIN.
bool can_report(StreamKind kind, RawReady ready) {
  if (kind == StreamKind::pipe_writer && any(ready, RawReady::in)) return false;
  return kind == StreamKind::socket || !any(ready, RawReady::rdhup);
}

/// Every set of bits that can be reported.
std::vector<RawReady> all_reports() {
  std::vector<RawReady> all{RawReady::none};
  for (const RawReady bit :
       {RawReady::in, RawReady::out, RawReady::rdhup, RawReady::hup, RawReady::err}) {
    for (std::size_t i = all.size(); i-- > 0;) all.push_back(all[i] | bit);
  }
  return all;
}

/// Calls `visit` for every question: all traits, interests, states and reports.
template <class Visit>
void for_each_question(Visit visit) {
  const std::vector<RawReady> reports = all_reports();
  for (const StreamKind kind : all_kinds) {
    for (unsigned traits = 0; traits < 16; ++traits) {
      // Silent are sockets alone, and where a hang-up says that both directions are over, none.
      if (traits >= 8 && (kind != StreamKind::socket || (traits & 2) != 0)) continue;
      for (unsigned interest = 0; interest < 8; ++interest) {
        for (unsigned state = 0; state < 48; ++state) {
          for (const RawReady ready : reports) {
            if (!can_report(kind, ready)) continue;
            visit(Question{{kind, (traits & 1) != 0, (traits & 2) != 0, (traits & 4) != 0, false,
                            (traits & 8) != 0},
                           static_cast<Interest>(interest),
                           {(state & 1) != 0, (state & 2) != 0, (state & 4) != 0, (state & 8) != 0,
                            static_cast<Mask>(state / 16)},
                           {.ready = ready}});
          }
        }
      }
    }
  }
}

/// Follows one question through every answer of every probe that is asked for.
template <class Visit>
void follow(Leaf leaf, Visit& visit) {
  const Question& q = leaf.first;
  leaf.decision = Lifecycle{q.traits, q.interest, q.state, leaf.found}.step();
  const Probe probe = leaf.decision.probe;
  if (probe == Probe::none) return visit(leaf, Complaint{});
  if (leaf.has_asked(probe)) return visit(leaf, "a probe is asked for twice");
  if (leaf.decision.events != Event::none)
    return visit(leaf, "a probe is asked for beside an event");
  leaf.asked |= 1u << static_cast<unsigned>(probe);

  const auto answered = [&](auto set) {
    Leaf branch = leaf;
    set(branch.found);
    follow(branch, visit);
  };
  switch (probe) {
    case Probe::inbound:
      for (const Inbound answer : all_inbound)
        answered([&](Observation& found) {
          found.inbound = answer;
          found.error = answer == Inbound::failed ? some_error : 0;
        });
      break;
    case Probe::outbound:
      for (const Outbound answer : all_outbound)
        answered([&](Observation& found) {
          found.outbound = answer;
          if (answer == Outbound::failed) found.error = some_error;
        });
      break;
    case Probe::peer_fin:
      for (const PeerFin answer : all_peer_fin)
        answered([&](Observation& found) { found.peer_fin = answer; });
      break;
    case Probe::standing:
      // From here on the question is another: the error bit may be none of the stream's.
      for (const Standing answer : all_standings) {
        Leaf branch = leaf;
        branch.first.found.standing = branch.found.standing = answer;
        follow(branch, visit);
      }
      break;
    case Probe::error:
      for (const int answer : {0, some_error}) {
        if (q.is_pipe_writer() && q.saw_hup_or_err() && answer == 0) continue;  // there it has one
        answered([&](Observation& found) {
          found.error_known = true;
          found.error = answer;
        });
      }
      break;
    case Probe::none:
      break;
  }
}

/// Every leaf there is. Masked streams are not asked as such: whoever is woken all the same is
/// first made what it was before.
template <class Visit>
void for_each_leaf(Visit visit) {
  for_each_question([&](const Question& question) {
    if (question.state.mask == Mask::all) return;
    follow(Leaf{question, question.found, {}, 0, false}, visit);
    // The reactor may have looked before the turn's first handler ran, and that handler may then
    // have changed the interest. It looks where no failure shows, and no plain byte is certain.
    const RawReady worth_a_look = question.traits.knows_fin ? RawReady::rdhup : RawReady::in;
    if (question.is_settled() || question.state.ended || question.saw_hup_or_err() ||
        question.is_pipe_writer() || !question.saw(worth_a_look))
      return;
    for (const Inbound answer : all_inbound) {
      Leaf leaf{question, question.found, {}, 1u << static_cast<unsigned>(Probe::inbound), true};
      leaf.found.inbound = answer;
      leaf.found.error = answer == Inbound::failed ? some_error : 0;
      follow(leaf, visit);
    }
  });
}

/// Which of the bits that are up would be reported again.
RawReady received(RawReady ready, RawInterest asked) {
  if (asked == RawInterest::none) return RawReady::none;
  RawReady filter = RawReady::hup | RawReady::err;
  if (any(asked, RawInterest::in)) filter |= RawReady::in;
  if (any(asked, RawInterest::out)) filter |= RawReady::out;
  if (any(asked, RawInterest::rdhup)) filter |= RawReady::rdhup;
  return static_cast<RawReady>(static_cast<unsigned>(ready) & static_cast<unsigned>(filter));
}

// The rules, each over one leaf. They say what must not be; what must be is at the end.

Complaint order_of_life(const Leaf& leaf) {
  const State before = leaf.first.state;
  const State next = leaf.next();
  if (leaf.first.is_settled() && (leaf.decision.events != Event::none || leaf.asked != 0))
    return "something follows hangup, or comes from a parked stream";
  if (leaf.first.is_settled() && next != before) return "the dead change their state";
  if (leaf.delivers(Event::hangup) != (next.over && !before.over))
    return "hangup and the end of life differ";
  if (leaf.delivers(Event::error) && !leaf.delivers(Event::hangup)) return "error without hangup";
  if (leaf.delivers(Event::error) != (leaf.found.error != 0 && leaf.delivers(Event::hangup)))
    return "a code without error, or error without a code";
  if (before.ended && !next.ended) return "the end is taken back";
  if (before.peer_closed_delivered && !next.peer_closed_delivered)
    return "peer_closed is taken back";
  if (leaf.delivers(Event::end_of_stream) && !next.ended) return "end_of_stream is forgotten";
  if (leaf.delivers(Event::peer_closed) && !next.peer_closed_delivered && !next.over)
    return "peer_closed is forgotten";
  return {};
}

Complaint bytes_before_the_end(const Leaf& leaf) {
  const Question& q = leaf.first;
  const bool bytes_promised = q.believes_in() && q.saw(RawReady::in) && !q.saw(RawReady::rdhup) &&
                              !q.saw_hup_or_err() &&
                              (leaf.asked == 0 || leaf.has_asked_only(Probe::standing));
  if (leaf.delivers(Event::readable)) {
    if (!q.is_reading()) return "readable without reading, or after the end";
    if (leaf.found.inbound != Inbound::bytes && !bytes_promised) return "readable without a byte";
    if (leaf.delivers(Event::end_of_stream | Event::hangup)) return "readable beside the end";
  }
  if (leaf.delivers(Event::end_of_stream)) {
    if (q.state.ended) return "end_of_stream twice";
    if (q.is_pipe_writer()) return "end_of_stream where nothing comes in";
    if (leaf.found.inbound != Inbound::end) return "end_of_stream without an end";
  }
  if (leaf.delivers(Event::hangup) && leaf.found.inbound == Inbound::bytes && q.is_reading())
    return "hangup before the bytes are read";
  return {};
}

Complaint pausing(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (q.wants(Interest::readable)) return {};
  if (leaf.delivers(Event::readable)) return "readable while paused";
  if (leaf.delivers(Event::end_of_stream) && !leaf.delivers(Event::hangup))
    return "end_of_stream while paused, and no hangup";
  if (leaf.next().parked && !q.state.parked && leaf.found.inbound != Inbound::bytes)
    return "parked with nothing unread";
  if (leaf.delivers(Event::hangup) && !leaf.delivers(Event::error) &&
      leaf.found.inbound == Inbound::bytes)
    return "the end of both directions, and bytes unread";
  return {};
}

/// What a zero send says where nobody will ever take a byte.
bool is_no_room(Outbound found) {
  return found == Outbound::over || found == Outbound::both || found == Outbound::failed;
}

/// Whether there is room, as far as is known. Beside a hang-up `out` may stay up for ever, or be
/// hidden.
bool may_write(const Leaf& leaf) {
  const Question& q = leaf.first;
  const bool behind_a_fin = q.traits.knows_fin && q.saw(RawReady::rdhup);
  const Outbound outbound = leaf.found.outbound;
  if (!q.saw_hup_or_err()) {
    const bool is_gone = outbound == Outbound::unknown && leaf.found.peer_fin == PeerFin::closed;
    const bool both_over = q.is_fin_of_the_silent() && (is_no_room(outbound) || is_gone);
    return q.saw(RawReady::out) && !both_over;
  }
  if (!q.is_socket()) return false;
  if (q.traits.knows_over) return q.saw(RawReady::out) && !q.saw(RawReady::hup);
  return outbound == Outbound::open || (outbound == Outbound::over && !behind_a_fin);
}

Complaint writing(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (!leaf.delivers(Event::writable)) return {};
  if (!q.wants(Interest::writable)) return "writable unasked";
  if (leaf.delivers(Event::hangup)) return "writable beside hangup";
  if (leaf.next().parked) return "writable from a parked stream";
  if (!may_write(leaf)) return "writable where a write makes no progress";
  return {};
}

Complaint peer_closed_is_the_peers_fin(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (!leaf.delivers(Event::peer_closed)) return {};
  if (!q.wants(Interest::peer_closed)) return "peer_closed unasked";
  if (q.state.peer_closed_delivered) return "peer_closed twice";
  if (q.state.ended) return "peer_closed after end_of_stream";
  if (leaf.found.peer_fin == PeerFin::not_received) return "peer_closed without a FIN";
  if (leaf.delivers(Event::error) && !leaf.delivers(Event::end_of_stream))
    return "peer_closed where the stream was cut";
  if (!q.is_socket() || leaf.found.inbound != Inbound::bytes) return {};
  if (q.traits.knows_fin && !q.shows_fin()) return "peer_closed that was not reported";
  const bool guessed = leaf.found.peer_fin == PeerFin::untellable ||
                       (leaf.found.peer_fin == PeerFin::closed && q.saw_hup_or_err());
  if (guessed && !q.traits.knows_fin) return "peer_closed is guessed";
  if (guessed && q.saw(RawReady::err) && q.found.standing != Standing::good)
    return "peer_closed where it may be a reset";
  return {};
}

Complaint nothing_is_lost(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (q.is_settled()) return {};
  const bool bytes = leaf.found.inbound == Inbound::bytes;
  if (q.is_reading() && bytes && !leaf.delivers(Event::readable)) return "bytes are kept back";
  if (q.is_reading() && leaf.found.inbound == Inbound::end && !leaf.delivers(Event::end_of_stream))
    return "the end is kept back";
  if (leaf.found.error != 0 && !leaf.delivers(Event::error) && !(q.is_reading() && bytes) &&
      !leaf.paused_meanwhile())
    return "a failure is kept back";
  if (q.wants(Interest::writable) && may_write(leaf) && !leaf.next().parked &&
      !leaf.delivers(Event::writable | Event::hangup))
    return "room to write is kept back";
  return {};
}

/// Whether the outbound side is over too, or was the only one.
bool is_over(const Leaf& leaf, bool at_end) {
  const Question& q = leaf.first;
  if (q.traits.kind == StreamKind::pipe_reader)
    return q.saw_hup_or_err() || leaf.found.inbound == Inbound::end;
  if (!q.is_socket()) return q.saw_hup_or_err();
  if (q.traits.knows_over) return q.saw(RawReady::hup);
  const Outbound outbound = leaf.found.outbound;
  const bool inbound_over = at_end || (q.traits.knows_fin && q.saw(RawReady::rdhup));
  return outbound == Outbound::both || outbound == Outbound::failed ||
         (outbound == Outbound::over && inbound_over);
}

/// hangup, without an error, is for both directions: known natively or found by probes.
Complaint the_end_of_both_directions(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (q.is_settled() || q.is_pipe_writer() || leaf.delivers(Event::error)) return {};
  const bool at_end = q.state.ended || leaf.found.inbound == Inbound::end;
  const bool over = is_over(leaf, at_end);
  const bool both = over && at_end;
  if (both && !leaf.delivers(Event::hangup) && !leaf.paused_meanwhile())
    return "hangup is kept back";
  if (!both && leaf.delivers(Event::hangup)) return "hangup while one direction is open";
  if (leaf.delivers(Event::hangup) && q.is_socket() && !leaf.found.error_known &&
      q.found.standing != Standing::good && (q.saw_hup_or_err() || !q.traits.knows_over))
    return "hangup without a look at the pending error";
  const bool paused_behind_bytes =
      !q.state.ended && !q.wants(Interest::readable) && leaf.found.inbound == Inbound::bytes;
  const bool shows = q.saw_hup_or_err() || q.is_fin_of_the_silent();
  if (over && shows && paused_behind_bytes && !leaf.next().parked) return "not parked, though over";
  if (leaf.next().parked && !over) return "parked while one direction is open";
  return {};
}

Complaint a_promise_of_peer_closed(const Leaf& leaf) {
  const Question& q = leaf.first;
  const bool wanted =
      q.wants(Interest::peer_closed) && !q.state.peer_closed_delivered && !q.state.ended;
  const bool shown = !q.traits.knows_fin || q.shows_fin();
  if (wanted && shown && leaf.found.peer_fin == PeerFin::received &&
      !leaf.delivers(Event::peer_closed | Event::error))
    return "a FIN is kept back";
  const bool reported = q.traits.knows_fin && q.saw(RawReady::rdhup) && !q.saw_hup_or_err();
  if (wanted && reported && leaf.found.inbound == Inbound::bytes && q.is_reading() &&
      leaf.found.peer_fin != PeerFin::not_received && !leaf.delivers(Event::peer_closed))
    return "a FIN that was reported is kept back";
  return {};
}

/// Each probe costs a system call, and some of them take a code out of the kernel.
Complaint no_needless_probe(const Leaf& leaf) {
  const Question& q = leaf.first;
  const bool may_be_over = q.saw_hup_or_err() || q.saw_probe_bit() || q.is_fin_of_the_silent();
  const bool foreign_hup = may_be_over && !q.traits.knows_over;
  if (leaf.has_asked(Probe::inbound) && (q.state.ended || q.is_pipe_writer()))
    return "looks for bytes where none can be";
  if (leaf.has_asked(Probe::outbound) && (!q.is_socket() || q.traits.knows_over))
    return "a zero send for what the backend knows";
  if (leaf.has_asked(Probe::outbound) && leaf.found.inbound == Inbound::bytes && q.is_reading() &&
      leaf.found.peer_fin == PeerFin::closed)
    return "a zero send takes the error of a reset from behind the bytes";
  if (leaf.has_asked(Probe::peer_fin) &&
      (!q.is_socket() || !(q.wants(Interest::peer_closed) || foreign_hup)))
    return "looks for a FIN that nobody asks about";
  if (leaf.has_asked(Probe::error) && !q.is_socket() && !q.is_pipe_writer())
    return "fetches an error where none is kept";
  if (leaf.has_asked(Probe::standing) != (q.is_err_alone() && !q.is_settled()))
    return "asks for the standing for nothing, or forgets to";
  if (leaf.has_asked(Probe::error) && q.found.standing == Standing::good)
    return "takes an error that is its owner's to know";
  if (leaf.looked_ahead || q.saw_hup_or_err() || q.saw_probe_bit() || q.is_err_alone() ||
      q.is_fin_of_the_silent())
    return {};
  if (leaf.asked != 0 && !q.is_reading() && !q.wants(Interest::peer_closed))
    return "probes a paused stream for nothing";
  if (leaf.asked != 0 && q.believes_in() && !q.saw(RawReady::rdhup))
    return "probes for plain bytes";
  return {};
}

Complaint masks_with_reason(const Leaf& leaf) {
  const Question& q = leaf.first;
  if (leaf.next().mask == q.state.mask) return {};
  if (leaf.next().mask == Mask::none) return "unmasked by itself";
  if (leaf.next().mask == Mask::all) {
    if (!q.has_bit_that_stays_up()) return "masked without a bit that stays up";
    if (leaf.delivers(Event::readable | Event::writable))
      return "masked though there is work to do";
  } else {
    State asked_again = leaf.next();
    asked_again.mask = Mask::none;
    const RawInterest masked = raw_interest(q.traits, q.interest, leaf.next());
    if (raw_interest(q.traits, q.interest, asked_again) == masked)
      return "masked though no hint is up";
    if (is_reading(q.traits, q.interest, asked_again)) return "bytes are masked";
    if (q.wants(Interest::writable) && !any(masked, RawInterest::out)) return "room is masked";
  }
  return {};
}

/// What told nothing must not wake the loop again at once, for ever.
Complaint no_spin(const Leaf& leaf) {
  if (leaf.decision.events != Event::none || leaf.looked_ahead) return {};
  const Question& q = leaf.first;
  const RawInterest asked = raw_interest(q.traits, q.interest, leaf.next());
  if (any(asked, RawInterest::edge) || received(q.found.ready, asked) == RawReady::none) return {};
  // Somebody else has read what was there: the bit is down by now.
  if (leaf.found.inbound == Inbound::empty && !q.has_bit_that_stays_up()) return {};
  return "wakes the loop again with nothing to tell";
}

constexpr std::array rules{order_of_life,
                           bytes_before_the_end,
                           pausing,
                           writing,
                           peer_closed_is_the_peers_fin,
                           nothing_is_lost,
                           the_end_of_both_directions,
                           a_promise_of_peer_closed,
                           no_needless_probe,
                           masks_with_reason,
                           no_spin};

/// The first leaf that breaks a rule is shown, the others are counted.
class Complaints {
 public:
  void add(const Leaf& leaf, Complaint complaint) {
    if (complaint.empty() || counts_[complaint]++ != 0) return;
    Question last = leaf.first;
    last.found = leaf.found;
    ADD_FAILURE() << complaint << ": " << last << " -> " << to_string(leaf.decision.events);
  }
  ~Complaints() {
    for (const auto& [complaint, count] : counts_)
      std::cout << count << " times: " << complaint << '\n';
  }

 private:
  std::map<Complaint, std::uint64_t> counts_;
};

TEST(Lifecycle, KeepsEveryRuleInEveryStateWithEveryAnswer) {
  std::uint64_t leaves = 0;
  Complaints complaints;
  for_each_leaf([&](const Leaf& leaf, Complaint complaint) {
    ++leaves;
    complaints.add(leaf, complaint);
    if (!complaint.empty()) return;
    for (const auto rule : rules) complaints.add(leaf, rule(leaf));
  });
  std::cout << leaves << " leaves\n";
  EXPECT_GT(leaves, 100'000u);
}

/// What the kernel is asked for, for every traits, interest and state.
Complaint asks_for_what_can_come(const Question& q) {
  const RawInterest bits = raw_interest(q.traits, q.interest, q.state);
  if (q.is_settled()) return bits == RawInterest::none ? "" : "the dead stay in the kernel's set";
  if (bits == RawInterest::none) return "the living are not in the kernel's set";
  const bool waits_for_fin = q.is_socket() && !q.state.ended && !q.state.peer_closed_delivered &&
                             q.wants(Interest::peer_closed) && q.state.mask != Mask::hint;
  // What a kernel that tells nothing unasked is asked for, so that failures are delivered.
  const bool nudges = !q.traits.reports_failures_unasked && q.state.mask != Mask::hint;
  if (nudges && !any(bits, q.is_pipe_writer() ? RawInterest::out : RawInterest::in))
    return "failures would not be heard";
  const bool asks_in = any(bits, RawInterest::in);
  if (asks_in && q.state.ended && !nudges) return "asks for bytes after the end";
  if (asks_in && q.is_pipe_writer()) return "asks for bytes where none can be";
  if (asks_in && !q.is_reading() && !nudges && (q.traits.knows_fin || !waits_for_fin))
    return "asks a paused stream for bytes";
  if (!asks_in && q.is_reading()) return "does not ask for bytes";
  const bool asks_rdhup = any(bits, RawInterest::rdhup);
  if (asks_rdhup && (!q.traits.knows_fin || !q.is_socket())) return "asks for a FIN in vain";
  if (asks_rdhup && q.state.ended) return "asks for a FIN after the end";
  if (waits_for_fin && !asks_rdhup && !asks_in) return "does not ask for a FIN";
  const bool hidden_out = nudges && q.is_pipe_writer();
  if (any(bits, RawInterest::out) != (q.wants(Interest::writable) || hidden_out))
    return "writable is not out";
  if (any(bits, RawInterest::edge) != (q.state.mask == Mask::all)) return "an edge is not a mask";
  const bool others = any(bits, RawInterest::in | RawInterest::out | RawInterest::rdhup);
  if (any(bits, RawInterest::hup) == others) return "hup does not stand alone, or nothing stands";
  return {};
}

TEST(Lifecycle, AsksTheKernelForExactlyWhatCanStillCome) {
  Complaints complaints;
  for_each_question([&](const Question& q) {
    complaints.add(Leaf{q, {}, {}}, asks_for_what_can_come(q));
  });
}

/// A stream on which nothing changes any more: its bits stay up, and a probe says the same each
/// time.
struct Unchanging {
  Question question;
  Observation truth;

  /// One turn of the reactor, as far as it concerns the lifecycle.
  Event turn() {
    State& state = question.state;
    if (state.mask == Mask::all) state.mask = Mask::none;
    Observation found{
        .ready = received(truth.ready, raw_interest(question.traits, question.interest, state))};
    while (true) {
      const Decision decision = Lifecycle{question.traits, question.interest, state, found}.step();
      if (decision.probe == Probe::none) {
        state = decision.state;
        return decision.events;
      }
      if (decision.probe == Probe::inbound) found.inbound = truth.inbound;
      if (decision.probe == Probe::outbound) found.outbound = truth.outbound;
      if (decision.probe == Probe::peer_fin) found.peer_fin = truth.peer_fin;
      if (decision.probe == Probe::standing) found.standing = truth.standing;
      if (decision.probe == Probe::error) found.error_known = true;
      const bool fails = decision.probe == Probe::error || found.inbound == Inbound::failed ||
                         found.outbound == Outbound::failed;
      if (fails) found.error = truth.error;
    }
  }

  /// Whether the loop comes to rest, or turns by right: bytes are there, or room to write.
  bool comes_to_rest() {
    RawInterest before = RawInterest::none;
    for (int turns = 0; turns < 5; ++turns) {
      const RawInterest asked = raw_interest(question.traits, question.interest, question.state);
      if (received(truth.ready, asked) == RawReady::none) return true;
      if (any(asked, RawInterest::edge) && asked == before) return true;  // nothing new happens
      before = asked;
      if (any(turn(), Event::readable | Event::writable)) return true;
    }
    return false;
  }
};

TEST(Lifecycle, SaysTheSameOfPlainReportsByTheShorterWay) {
  std::uint64_t plain = 0;
  for_each_question([&](const Question& q) {
    const RawReady ready = q.found.ready;
    if (!can_take_fast_path(q.traits) || !is_fast_path(q.interest, q.state, ready)) return;
    ++plain;
    Event events = Event::none;
    if (any(ready, RawReady::in) && any(q.interest, Interest::readable)) events |= Event::readable;
    if (any(ready, RawReady::out) && any(q.interest, Interest::writable)) events |= Event::writable;
    const Decision decision = Lifecycle{q.traits, q.interest, q.state, q.found}.step();
    EXPECT_EQ(decision.probe, Probe::none) << q;
    EXPECT_EQ(decision.events, events) << q;
    EXPECT_EQ(decision.state, q.state) << q;
  });
  EXPECT_EQ(plain, 64u) << "two kinds, believed in hang-up or not, four interests, four reports";
}

TEST(Lifecycle, LetsTheLoopComeToRestWhereNothingHappensAnyMore) {
  std::uint64_t streams = 0;
  Complaints complaints;
  for_each_question([&](const Question& q) {
    if (q.state.mask != Mask::none || q.is_settled()) return;
    for (const Inbound inbound : all_inbound) {
      // Nothing to read is no reason for `in` to stay up, unless it is a failure's bit.
      if (inbound == Inbound::empty && !q.saw_hup_or_err() && q.saw(RawReady::in | RawReady::rdhup))
        continue;
      for (const Outbound outbound : all_outbound) {
        for (const PeerFin peer_fin : all_peer_fin) {
          for (const int error : {0, some_error}) {
            const bool failing =
                inbound == Inbound::failed || outbound == Outbound::failed || q.is_pipe_writer();
            if (failing && error == 0) continue;
            for (const Standing standing : all_standings) {
              Unchanging stream{
                  q, {q.found.ready, inbound, outbound, peer_fin, standing, false, error}};
              ++streams;
              if (!stream.comes_to_rest())
                complaints.add(Leaf{q, stream.truth, {}}, "the loop turns for ever");
            }
          }
        }
      }
    }
  });
  std::cout << streams << " streams\n";
  EXPECT_GT(streams, 100'000u);
}

}  // namespace

}  // namespace pollux::detail
