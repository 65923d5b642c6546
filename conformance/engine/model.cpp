// SPDX-License-Identifier: MIT
#include "conformance/engine/model.hpp"

#include <cerrno>
#include <utility>
#include <vector>

#include <pollux/events.hpp>

#include "conformance/engine/protocol.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

namespace {

/// The life of one watch, by the rules of the contract.
class Life {
 public:
  Life(Kind kind, EarlyNotice notice, Line& line, int end, int seat)
      : kind_{kind}, notice_{notice}, line_{line}, end_{end}, seat_{seat} {}

  void pause() { reading_ = false; }
  void resume() {
    reading_ = true;
    parked_ = false;
  }
  void ask_writable(bool wanted) { writable_ = wanted; }
  void ask_peer_closed() { wants_peer_closed_ = true; }
  void watch() {
    watched_ = true;
    ended_ = over_ = parked_ = delivered_peer_closed_ = false;
  }
  void unwatch() { watched_ = false; }

  /// Somebody takes the failure: whether it had been delivered.
  bool take_failure() { return std::exchange(delivered_failure_, false); }

  /// What the loop tells when it runs now.
  void turn(Trace& trace) {
    trace_ = &trace;
    if (!watched_) return;
    if (shape(kind_).readiness) return deliver_readiness();
    deliver_peer_closed(false);
    deliver_lifecycle();
    if (over_ || parked_) return;
    Event standing = Event::none;
    if (reading_ && !ended_ && line_.can_read(end_) && is_readable()) standing |= Event::readable;
    // A write makes progress unless nobody can ever take it; see rule 5 for what is behind bytes.
    if (writable_ && line_.can_write(end_) && !here().both_over()) standing |= Event::writable;
    stand(standing);
  }

 private:
  const End& here() const { return line_[end_]; }
  Family family() const { return shape(kind_).family; }
  bool is_tcp() const { return family() == Family::tcp || family() == Family::mptcp; }

  void say(Item::What what, int value = 0) { trace_->push_back({what, value, seat_}); }
  void stand(Event standing) {
    if (standing != Event::none) say(Item::What::standing, static_cast<int>(standing));
  }

  /// With fewer bytes than its owner wants to learn of, only at the end of them.
  bool is_readable() const {
    const int unread = here().unread();
    return unread >= here().low_water || (unread > 0 && here().inbound_over());
  }

  /// A failure that is all there is is delivered, and not for as long as it holds; beside something
  /// that is, it wakes reader and writer.
  void deliver_readiness() {
    const bool failed = here().error != 0;
    if (failed && (reading_ || writable_)) delivered_failure_ = true;
    Event standing = Event::none;
    if (reading_ && (here().unread() > 0 || here().inbound_over())) standing |= Event::readable;
    if (writable_ && line_.can_write(end_)) standing |= Event::writable;
    if (failed && standing != Event::none && reading_) standing |= Event::readable;
    stand(standing);
  }

  void deliver_lifecycle() {
    if (over_ || parked_) return;
    if (!line_.can_read(end_)) {
      if (here().gone) fail(EPIPE);
      return;
    }
    if (ended_) {
      if (here().error != 0) return fail(line_.fetch_error(end_));
      if (here().both_over()) hang_up();
      return;
    }
    if (!reading_) return deliver_while_paused();
    if (here().unread() > 0) return;  // rule 1
    // A FIN that came before the failure is delivered before it, where the protocol keeps them
    // apart.
    const bool fin_first = is_tcp() && here().fin && !support::system_facts().reset_hides_fin;
    if (here().error != 0 && !fin_first) return fail(line_.fetch_error(end_));
    if (!here().inbound_over()) return;
    end();
    if (here().error != 0) return fail(line_.fetch_error(end_));
    if (here().both_over()) hang_up();
  }

  void deliver_while_paused() {
    if (here().error != 0) return fail(line_.fetch_error(end_));
    if (!here().both_over()) return;
    if (here().unread() > 0) {
      parked_ = true;
      return;
    }
    end();
    hang_up();
  }

  void end() {
    deliver_peer_closed(true);
    ended_ = true;
    say(Item::What::end_of_stream);
  }
  void fail(int error) {
    say(Item::What::error, error);
    hang_up();
  }
  void hang_up() {
    over_ = true;
    say(Item::What::hangup);
  }

  /// Rule 15. `at_end`: together with end_of_stream, at the latest.
  void deliver_peer_closed(bool at_end) {
    if (!wants_peer_closed_ || delivered_peer_closed_ || ended_ || over_ || parked_) return;
    if (!line_.can_read(end_)) return;
    // On AF_UNIX nothing tells the peer's end from one's own SHUT_RD. Of a reset whose code the
    // owner took, the end is left to see (rule 10).
    const bool closed = is_tcp() ? here().fin || here().gone : here().inbound_over();
    if (!closed) return;
    // At the end as well, if that is one's own: what nobody can read any more is unread still.
    if (line_.hides_fin(end_)) return;
    if (!at_end) {
      if (here().error != 0) return;  // with a failure pending, a FIN shows when the bytes are read
      const bool early = notice_ == EarlyNotice::immediate || family() != Family::unix_stream;
      if (here().unread() > 0 && !early) return;
    }
    delivered_peer_closed_ = true;
    say(Item::What::peer_closed);
  }

  Kind kind_;
  EarlyNotice notice_;
  Line& line_;
  int end_;
  int seat_;
  Trace* trace_ = nullptr;
  bool watched_ = true;
  bool reading_ = true;
  bool writable_ = false;
  bool wants_peer_closed_ = false;
  bool ended_ = false;
  bool over_ = false;
  bool parked_ = false;
  bool delivered_peer_closed_ = false;
  bool delivered_failure_ = false;  ///< to a readiness watch
};

/// Who sits at the lines, and what they do there.
class Model {
 public:
  Model(const History& history, EarlyNotice notice)
      : history_{history}, shape_{shape(history.kind)}, lines_(2, Line{history.kind}) {
    for (int i = 0; i < shape_.watched; ++i)
      lives_.emplace_back(history.kind, notice, line(i), seat(i).end, i);
    descriptors_.resize(shape_.seats.size());
    if (history.kind == Kind::refused) descriptor(1).open = false;
  }

  Trace run() {
    if (history_.pace == Pace::each) turn();
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      trace_.push_back({Item::What::op, static_cast<int>(i)});
      apply(history_.ops[i]);
      if (history_.pace == Pace::each) turn();
    }
    if (history_.pace != Pace::each) turn();
    return std::move(trace_);
  }

 private:
  struct Descriptor {
    bool open = true;
    bool duplicate = false;
  };

  const Seat& seat(int i) const { return shape_.seats[static_cast<std::size_t>(i)]; }
  Descriptor& descriptor(int i) { return descriptors_[static_cast<std::size_t>(i)]; }
  Line& line(int i) { return lines_[seat(i).line]; }
  Life& life() { return lives_[static_cast<std::size_t>(here_)]; }

  void result(int value) { trace_.push_back({Item::What::result, value}); }

  void turn() {
    for (Life& life : lives_) life.turn(trace_);
  }

  void apply(Op op) {
    if (op == Op::turn) return turn();
    if (op == Op::swap) {
      here_ = 1 - here_;
    } else if (is_of_the_peer(op)) {
      apply_there(op);
    } else if (!apply_to_watch(op)) {
      apply_here(op);
    }
  }

  void apply_there(Op op) {
    const int there = seat(here_).opposite;
    const int end = seat(there).end;
    if (!descriptor(there).open) return;
    switch (op) {
      case Op::peer_write:
        line(there).write(end);
        return;
      case Op::peer_urgent:
        return line(there).write_urgent(end);
      case Op::peer_shutdown_write:
        return line(there).shutdown_write(end);
      case Op::peer_shutdown_read:
        return line(there).shutdown_read(end);
      case Op::peer_read:
        return line(there).drain(end);
      case Op::peer_discard:
        return line(there).discard(end);
      case Op::peer_reset:
        line(there).set_linger_zero(end);
        [[fallthrough]];
      default:
        return close(there);
    }
  }

  /// False if it is not about a watch.
  bool apply_to_watch(Op op) {
    switch (op) {
      case Op::pause:
        return life().pause(), true;
      case Op::resume:
        return life().resume(), true;
      case Op::ask_writable:
        return life().ask_writable(true), true;
      case Op::stop_writable:
        return life().ask_writable(false), true;
      case Op::ask_peer_closed:
        return life().ask_peer_closed(), true;
      case Op::rewatch:
        if (descriptor(here_).open) life().watch();
        return true;
      case Op::unwatch:
        return life().unwatch(), true;
      default:
        return false;
    }
  }

  void apply_here(Op op) {
    const int end = seat(here_).end;
    Line& at = line(here_);
    if (op == Op::close_duplicate) return close_duplicate(here_);
    if (!descriptor(here_).open) return;
    switch (op) {
      case Op::write:
      case Op::read:
      case Op::read_one:
      case Op::read_elsewhere:
        return move_bytes(op, at, end);
      case Op::read_urgent:
        return result(at.read_urgent(end));
      case Op::peek:
        return result(at.peek(end));
      case Op::relay:
        return relay();
      case Op::shutdown_read:
        return at.shutdown_read(end);
      case Op::shutdown_write:
        return at.shutdown_write(end);
      case Op::low_water:
        return at.set_low_water(end);
      case Op::packet_mode:
        return at.set_packet_mode(end);
      case Op::duplicate:
        descriptor(here_).duplicate = true;  // says nothing to anybody (S13)
        return;
      case Op::reset:
        at.set_linger_zero(end);
        [[fallthrough]];
      default:
        close(here_);
        return look();
    }
  }

  void move_bytes(Op op, Line& at, int end) {
    const bool failed = at[end].error != 0;
    result(op == Op::write ? at.write(end) : op == Op::read ? at.read_all(end) : at.read(end, 1));
    if (shape_.readiness && failed && at[end].error == 0 && life().take_failure())
      trace_.push_back({Item::What::had_been_delivered});
  }

  void relay() {
    const int count = line(here_).read_all(seat(here_).end);
    result(count);
    const int other = 1 - here_;
    if (count > 0 && descriptor(other).open) result(line(other).write(seat(other).end, count));
  }

  /// Its watch ends before it.
  void close(int i) {
    if (i < shape_.watched) lives_[static_cast<std::size_t>(i)].unwatch();
    descriptor(i).open = false;
    close_if_last(i);
  }
  void close_duplicate(int i) {
    if (!std::exchange(descriptor(i).duplicate, false)) return;
    close_if_last(i);
  }
  void close_if_last(int closed) {
    for (std::size_t i = 0; i < shape_.seats.size(); ++i) {
      const Seat& other = shape_.seats[i];
      if (other.line != seat(closed).line || other.end != seat(closed).end) continue;
      if (descriptors_[i].open || descriptors_[i].duplicate) return;
    }
    line(closed).close(seat(closed).end);
  }

  /// What there is to see at the other side.
  void look() {
    const int there = seat(here_).opposite;
    if (!descriptor(there).open) return;
    const Sight sight = line(there).look(seat(there).end);
    trace_.push_back({Item::What::peer_sees, static_cast<int>(sight)});
  }

  const History& history_;
  const Shape& shape_;
  std::vector<Line> lines_;
  std::vector<Life> lives_;
  std::vector<Descriptor> descriptors_;
  int here_ = 0;
  Trace trace_;
};

}  // namespace

Trace predict(const History& history, EarlyNotice notice) {
  return Model{history, notice}.run();
}

}  // namespace pollux::differential
