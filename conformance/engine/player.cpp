// SPDX-License-Identifier: MIT
#include "conformance/engine/player.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "conformance/engine/played_stream.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

namespace {

using support::Handle;
using support::Pair;

/// Time stands still while a history is played, but for the moments in which the player lets the
/// reactor's looks come due: a trace does not depend on how fast the machine is.
thread_local std::chrono::steady_clock::time_point now{};

ReactorOptions options() {
  ReactorOptions options;
  options.clock = [] { return now; };
  return options;
}

constexpr int most_turns = 40;

/// Who holds a descriptor, and what its watch was told in this run of the loop.
struct Sitter {
  Handle handle;
  Handle duplicate;
  Reactor* reactor = nullptr;
  StreamWatch stream;
  Watch plain;
  std::unique_ptr<PlayedStream> played;  ///< in place of a watch; it has the handle
  bool watched = false;
  Interest interest = Interest::readable;
  Trace delivered;
  Event standing = Event::none;  ///< readable and writable, as told in this turn
  bool peer_closed = false;
  bool delivered_failure = false;  ///< to a readiness watch
  bool ended_reading = false;      ///< by an own shutdown
  bool ended_writing = false;
};

}  // namespace

/// One history on its way.
class Player::Play {
 public:
  Play(Player& player, const History& history)
      : player_{player},
        history_{history},
        shape_{shape(history.kind)},
        sitters_(shape_.seats.size()) {
    sit_down();
    // Set while it is watched, an offset is not known to the reactor (docs/contract.md).
    const bool peeks = has(Op::peek);
    for (std::size_t i = 0; i < shape_.watched; ++i) {
      if (peeks) set_peek_offset(sitters_[i].handle);
      watch(sitters_[i]);
    }
  }

  Trace run() {
    if (history_.pace == Pace::each) settle();
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      say(Item::What::op, static_cast<int>(i));
      apply(history_.ops[i]);
      if (history_.pace == Pace::each) settle();
    }
    if (history_.pace != Pace::each) settle();
    end();
    return std::move(trace_);
  }

 private:
  void sit_down() {
    for (std::size_t i = 0; i < sitters_.size(); ++i) {
      const Seat& seat = shape_.seats[i];
      sitters_[i].reactor = &player_.reactor(seat.reactor);
      // The first at its line comes with the other end; who follows at its end has a duplicate.
      if (seat.end != 0 || sitters_[i].handle) continue;
      Pair pair = player_.connections_.make(history_.kind);
      sitters_[i].handle = std::move(pair.local);
      if (shape_.family == Family::listener) port_ = support::port_of(sitters_[i].handle);
      sitters_[seat.opposite].handle = std::move(pair.peer);
      for (std::size_t j = i + 1; j < sitters_.size(); ++j) {
        const Seat& other = shape_.seats[j];
        if (other.line == seat.line && other.end == seat.end)
          sitters_[j].handle = support::duplicate(sitters_[i].handle);
      }
    }
  }

  void watch(Sitter& who) {
    std::error_code refused;
    watch(who, refused);
    who.watched = !refused;
    if (refused) say(Item::What::refused, refused.value(), number_of(who));
    report_own_ends(who);
  }

  void watch(Sitter& who, std::error_code& refused) {
    if (shape_.streamed) {
      who.played =
          std::make_unique<PlayedStream>(*who.reactor, who.handle, has(Op::ask_peer_closed));
    } else if (shape_.readiness) {
      const auto on_readiness = [&who](Readiness ready) {
        who.delivered_failure |= ready.error();
        if (ready.readable()) who.standing |= Event::readable;
        if (ready.writable()) who.standing |= Event::writable;
      };
      who.plain = who.reactor->watch(who.handle.get(), who.interest, on_readiness, refused);
    } else {
      who.stream = who.reactor->watch_stream(
          who.handle.get(), who.interest,
          [this, &who](const StreamEvent& event) { on_event(who, event); }, refused);
    }
  }

  void unwatch(Sitter& who) {
    who.watched = false;
    who.stream.reset();
    who.plain.reset();
  }

  void on_event(Sitter& who, const StreamEvent& event) {
    const auto add = [&](Item::What what, int value = 0) {
      const Item item{what, value, number_of(who)};
      if (who.delivered.empty() || who.delivered.back() != item) who.delivered.push_back(item);
    };
    if (event.peer_closed()) who.peer_closed = true;
    if (event.end_of_stream()) add(Item::What::end_of_stream);
    if (event.error()) add(Item::What::error, event.error().default_error_condition().value());
    if (event.hangup()) add(Item::What::hangup);
    if (event.readable()) {
      who.standing |= Event::readable;
      // Of what is nobody's to read the end follows.
      if (!is_unreadable(who) && !has_byte(history_.kind, who.handle, urgent_))
        add(Item::What::false_readable);
    }
    if (event.writable()) who.standing |= Event::writable;
  }

  /// What is unread behind an own shutdown may be no read's.
  static bool is_unreadable(const Sitter& who) {
    return who.ended_reading && !support::system_facts().own_shutdown_leaves_unread;
  }

  bool has(Op op) const { return std::ranges::find(history_.ops, op) != history_.ops.end(); }
  int number_of(const Sitter& who) const { return static_cast<int>(&who - sitters_.data()); }

  void settle() {
    settle(player_.reactor(0));
    if (shape_.seats[1].reactor == 1) settle(player_.reactor(1));
    for (Sitter& who : sitters_) {
      // Its place between the other events of one run of the loop may differ (rule 15): told first.
      if (std::exchange(who.peer_closed, false)) say(Item::What::peer_closed, 0, number_of(who));
      trace_.insert(trace_.end(), who.delivered.begin(), who.delivered.end());
      who.delivered.clear();
      if (const Event standing = std::exchange(who.standing, Event::none); standing != Event::none)
        say(Item::What::standing, static_cast<int>(standing), number_of(who));
      if (who.played) {
        who.played->report(trace_);
        look_at_peer(opposite(who));
      }
    }
  }

  /// After a run of the loop: what has arrived at a stream's peer, as far as that is new.
  void look_at_peer(const Sitter& peer) {
    if (!peer.handle) return;
    // Of what only writes, it would be what is unread here.
    const bool reads = shape_.streamed != Kind::pipe_reader && !is_unreadable(peer);
    const long unread = reads ? support::unread_bytes(peer.handle) : 0;
    const Sight sight = look_at(history_.kind, peer.handle);
    if (std::exchange(peer_has_, unread) != unread)
      say(Item::What::peer_has, static_cast<int>(unread));
    if (std::exchange(peer_sees_, sight) != sight)
      say(Item::What::peer_sees, static_cast<int>(sight));
  }

  /// What was told up to now, and what stands, of one reactor's watches.
  struct Received {
    std::size_t items = 0;
    std::array<Event, 2> standing{};
    bool stands() const { return standing[0] != Event::none || standing[1] != Event::none; }
    friend bool operator==(const Received&, const Received&) = default;
  };

  /// Runs the loop until it has nothing new to tell, and has looked at everything that it looks at
  /// on a timer.
  void settle(Reactor& reactor) {
    if (has(Op::abort_when_sent)) acknowledge_at_once(opposite(here()).handle);
    Received before = turn(reactor);
    // What a stream's timer does may be delivered in the turn behind it.
    const int most_looks = shape_.streamed ? 2 : 1;
    int looks = 0;
    for (int turns = 0; turns < most_turns; ++turns) {
      const std::uint64_t reports = reactor.stats().reports;
      const Received received = turn(reactor);
      const bool quiet = received == before;
      before = received;
      if (!quiet) continue;
      if (looks == most_looks) {
        // Two turns alike. If nothing stands, nothing may have woken the loop either.
        if (!received.stands() && reactor.stats().reports != reports) continue;
        return;
      }
      if (looks++ != 0) continue;
      now += std::chrono::seconds{1};  // longer than any look is put off
    }
    say(Item::What::spin);
  }

  Received turn(Reactor& reactor) {
    for (Sitter& who : sitters_) {
      if (who.reactor == &reactor) who.standing = Event::none;
    }
    reactor.poll();
    Received received;
    for (std::size_t i = 0; i < shape_.watched; ++i) {
      if (sitters_[i].reactor != &reactor) continue;
      received.items += sitters_[i].delivered.size();
      received.standing[i] = sitters_[i].standing;
      if (sitters_[i].played) received.items += sitters_[i].played->calls();
    }
    return received;
  }

  Sitter& here() { return sitters_[here_]; }
  Sitter& opposite(const Sitter& who) {
    return sitters_[shape_.seats[static_cast<std::size_t>(number_of(who))].opposite];
  }

  void apply(Op op) {
    if (op == Op::turn) return settle();
    // With bytes unread over there, a close is a reset.
    const bool resets = op == Op::peer_reset ||
                        (op == Op::peer_close && support::has_unread(opposite(here()).handle));
    apply_now(op);
    if (shape_.family == Family::mptcp) await(op, resets);
    for (const Sitter& who : sitters_) await_arrival(who.handle);
  }

  /// MPTCP's worker brings over what a FIN or a reset does.
  void await(Op op, bool resets) {
    const Handle& mine = here().handle;
    const bool from_there = op == Op::peer_shutdown_write || op == Op::peer_close;
    const bool from_here = op == Op::shutdown_write;
    fin_there_ |= from_there;
    fin_here_ |= from_here;
    if (resets || ((from_there || from_here) && fin_there_ && fin_here_)) {
      await_hang_up(mine);
    } else if (from_there) {
      await_end(mine);
    } else if (from_here) {
      await_end(opposite(here()).handle);
    }
  }

  void apply_now(Op op) {
    if (op == Op::swap) {
      here_ = 1 - here_;
    } else if (is_of_the_peer(op)) {
      apply_there(op, opposite(here()));
    } else if (here().played) {
      here().played->apply(op, trace_);
    } else if (!apply_to_watch(op, here())) {
      apply_here(op, here());
    }
  }

  void apply_there(Op op, Sitter& there) {
    if (history_.kind == Kind::listener) {
      if (here().handle) callers_.push_back(connect_to(here().handle));
      return;
    }
    if (!there.handle) return;
    switch (op) {
      case Op::peer_write:
        write_to(history_.kind, there.handle, opposite(there).handle,
                 here().played ? here().played->bytes_of_peer() : some_bytes());
        return;
      case Op::peer_urgent:
        urgent_ = true;
        support::write_urgent(there.handle);
        return;
      case Op::peer_shutdown_write:
        return end_own(there, Shutdown::write);
      case Op::peer_shutdown_read:
        return end_own(there, Shutdown::read);
      case Op::peer_read:
        if (!here().played) {
          support::drain(there.handle);
        } else if (!here().played->peer_reads(there.handle)) {
          say(Item::What::garbled);
        }
        return;
      case Op::peer_discard:
        return discard_input(there.handle);
      case Op::peer_reset:
        support::set_linger_zero(there.handle);
        [[fallthrough]];
      default:
        unwatch(there);
        there.handle.close();
    }
  }

  /// False if it is not about a watch.
  bool apply_to_watch(Op op, Sitter& who) {
    switch (op) {
      case Op::pause:
        return ask(who, who.interest & ~Interest::readable);
      case Op::resume:
        return ask(who, who.interest | Interest::readable);
      case Op::ask_writable:
        return ask(who, who.interest | Interest::writable);
      case Op::stop_writable:
        return ask(who, who.interest & ~Interest::writable);
      case Op::ask_peer_closed:
        return ask(who, who.interest | Interest::peer_closed);
      case Op::rewatch:
        unwatch(who);
        if (who.handle) watch(who);
        return true;
      case Op::unwatch:
        unwatch(who);
        return true;
      default:
        return false;
    }
  }

  bool ask(Sitter& who, Interest interest) {
    who.interest = interest;
    if (!who.watched) return true;
    std::error_code refused;
    if (shape_.readiness) {
      who.plain.set_interest(interest, refused);
    } else {
      who.stream.set_interest(interest, refused);
    }
    if (refused) say(Item::What::refused, refused.value(), number_of(who));
    return true;
  }

  void apply_here(Op op, Sitter& who) {
    if (op != Op::close_duplicate && !who.handle) return;
    switch (op) {
      case Op::write:
      case Op::read:
      case Op::read_one:
      case Op::read_elsewhere:
        return move_bytes(op, who);
      case Op::read_urgent:
        return result(support::read_urgent(who.handle));
      case Op::peek:
        return result(support::peek(who.handle));
      case Op::relay:
        return relay(who);
      case Op::shutdown_read:
        return end_own(who, Shutdown::read);
      case Op::shutdown_write:
        return end_own(who, Shutdown::write);
      case Op::low_water:
        return set_low_water(who.handle);
      case Op::packet_mode:
        return set_packet_mode(who.handle);
      case Op::close_duplicate:
        who.duplicate.close();
        return;
      case Op::duplicate:
        who.duplicate = support::duplicate(who.handle);
        return;
      case Op::reset:
        support::set_linger_zero(who.handle);
        unwatch(who);
        who.handle.close();
        return look(who);
      default:
        close(who);
        return look(who);
    }
  }

  /// By hand; and where a system reports nothing of that, through each watch of this end as well.
  void end_own(Sitter& who, Shutdown how) {
    const bool reading = how == Shutdown::read;
    support::shut_down(who.handle, reading ? support::Direction::read : support::Direction::write);
    const Seat& seat = shape_.seats[static_cast<std::size_t>(number_of(who))];
    for (std::size_t i = 0; i < sitters_.size(); ++i) {
      const Seat& other = shape_.seats[i];
      if (other.line != seat.line || other.end != seat.end) continue;
      (reading ? sitters_[i].ended_reading : sitters_[i].ended_writing) = true;
      report_own_ends(sitters_[i]);
    }
  }
  void report_own_ends(Sitter& who) {
    if (support::system_facts().own_shutdown_is_reported || !who.stream) return;
    std::error_code refused;  // nothing is left to be ended of what has failed
    if (who.ended_reading) who.stream.shutdown(Shutdown::read, refused);
    if (who.ended_writing) who.stream.shutdown(Shutdown::write, refused);
  }

  static std::string some_bytes() { return std::string(chunk, 'x'); }

  long bytes_moved(Op op, Sitter& who) {
    if (op == Op::write)
      return write_to(history_.kind, who.handle, opposite(who).handle, some_bytes());
    if (history_.kind == Kind::listener) return accept_and_drop(who.handle);
    if (op == Op::read) return support::read_bytes(who.handle);
    if (op == Op::read_one) return support::read_bytes(who.handle, 1);
    return support::read_bytes(support::duplicate(who.handle), 1);
  }

  void move_bytes(Op op, Sitter& who) {
    const long count = bytes_moved(op, who);
    result(count);
    // A readiness watch is told of a failure for once, and in its own time.
    const bool failed = count == -ECONNREFUSED || count == -ECONNRESET;
    if (shape_.readiness && failed && std::exchange(who.delivered_failure, false))
      say(Item::What::had_been_delivered);
  }

  void relay(Sitter& who) {
    const long count = support::read_bytes(who.handle);
    result(count);
    const Handle& to = sitters_[1 - here_].handle;
    if (count > 0 && to)
      result(support::write_bytes(to, std::string(static_cast<std::size_t>(count), 'x')));
  }

  /// The watch closes it where it may: it has no duplicate then.
  void close(Sitter& who) {
    const bool alone = !who.duplicate && shape_.seats.size() != 3;
    if (who.watched && alone && (who.stream.close() || who.plain.close())) who.handle.release();
    unwatch(who);
    who.handle.close();
  }

  /// What there is to see of it at the other side.
  void look(Sitter& who) {
    if (sees_something(who)) say(Item::What::peer_sees, static_cast<int>(sight(who)));
  }
  bool sees_something(Sitter& who) {
    return shape_.family == Family::listener || opposite(who).handle;
  }
  Sight sight(Sitter& who) {
    // Whoever listens has no peer, but a port that somebody else may want.
    return shape_.family == Family::listener ? look_at_port(port_)
                                             : look_at(history_.kind, opposite(who).handle);
  }

  void end() {
    for (Sitter& who : sitters_) {
      unwatch(who);
      who.duplicate.close();
      if (who.played) end_stream(who);
    }
    for (std::size_t i = 0; i < sitters_.size(); ++i) {
      if (i == shape_.watched && is_left_behind()) say(Item::What::left_behind);
      abandon(sitters_[i].handle);
    }
    // A stream that was destroyed before its peer had ended ends now.
    if (here().played) here().reactor->poll();
  }

  void end_stream(Sitter& who) {
    const Handle& peer = opposite(who).handle;
    if (peer && !who.played->peer_reads(peer)) say(Item::What::garbled);
    who.played->end();
  }

  /// Whether, with all that was watched closed, the other side does not see it.
  bool is_left_behind() {
    const bool delivers = shape_.family != Family::fifo && shape_.family != Family::udp;
    const support::SystemFacts& facts = support::system_facts();
    Sitter& other = opposite(sitters_[0]);
    if (facts.unread_bytes_hide_fin && other.handle) {
      support::drain(other.handle);
      // Nobody can read those any more, whose owner has ended that side.
      if (support::has_unread(other.handle)) return false;
    }
    return delivers && sees_something(sitters_[0]) && sight(sitters_[0]) == Sight::nothing;
  }

  void result(long value) { say(Item::What::result, static_cast<int>(value)); }
  void say(Item::What what, int value = 0, int watch = 0) {
    trace_.push_back({what, value, watch});
  }

  /// Closes without leaving a TIME_WAIT behind: hundreds of thousands of histories share the ports.
  static void abandon(Handle& handle) {
    support::set_linger_zero(handle);
    handle.close();
  }

  Player& player_;
  const History& history_;
  const Shape& shape_;
  std::vector<Sitter> sitters_;
  std::vector<Handle> callers_;  ///< of a listener
  std::size_t here_ = 0;
  bool urgent_ = false;  ///< a byte was sent as such
  bool fin_here_ = false;
  bool fin_there_ = false;
  std::uint16_t port_ = 0;  ///< of a listener
  long peer_has_ = 0;       ///< of a stream's peer, when it was looked at last
  Sight peer_sees_ = Sight::nothing;
  Trace trace_;
};

Player::Player(support::Contestant::Make make) : make_{std::move(make)} {
  static_cast<void>(reactor(0));
}

Reactor& Player::reactor(std::size_t number) {
  auto& reactor = reactors_[number];
  if (!reactor) reactor = std::make_unique<Reactor>(make_(), options());
  return *reactor;
}

Trace Player::play(const History& history) {
  return Play{*this, history}.run();
}

EarlyNotice Player::early_notice() const noexcept {
  return any(reactors_[0]->backend_reports(), RawReady::rdhup) ? EarlyNotice::immediate
                                                               : EarlyNotice::after_drain;
}

}  // namespace pollux::differential
