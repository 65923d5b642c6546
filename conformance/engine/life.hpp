// SPDX-License-Identifier: MIT
// The half of the model that knows the contract: what of a connection's states a watch delivers.
#pragma once

#include <cerrno>
#include <cstddef>
#include <utility>

#include <pollux/events.hpp>

#include "conformance/engine/model.hpp"
#include "conformance/engine/protocol.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

/// The life of one watch, by the rules of the contract.
class Life {
 public:
  Life(Kind kind, EarlyNotice notice, Line& line, int end, int seat)
      : kind_{kind}, notice_{notice}, line_{line}, end_{end}, seat_{seat} {}
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;
  virtual ~Life() = default;

  void pause() { reading_ = false; }
  virtual void resume() {
    reading_ = true;
    parked_ = false;
  }
  void ask_writable(bool wanted) { writable_ = wanted; }
  void ask_peer_closed() { wants_peer_closed_ = true; }
  void watch() {
    watched_ = true;
    ended_ = over_ = parked_ = delivered_peer_closed_ = false;
  }
  virtual void unwatch() { watched_ = false; }

  /// Somebody takes the failure: whether it had been delivered.
  bool take_failure() { return std::exchange(delivered_failure_, false); }

  /// What the loop tells when it runs now.
  virtual void turn(Trace& trace) {
    begin(trace);
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

 protected:
  void begin(Trace& trace) {
    trace_ = &trace;
    start_ = trace.size();
  }
  void say(Item::What what, int value = 0) { trace_->push_back({what, value, seat_}); }
  /// Of what has no place among the others of one run of the loop.
  void say_first(Item::What what) {
    trace_->insert(trace_->begin() + static_cast<std::ptrdiff_t>(start_), {what, 0, seat_});
  }

  const End& here() const { return line_[end_]; }
  Line& line() { return line_; }
  int end_of_line() const { return end_; }
  bool is_reading() const { return reading_; }
  bool has_ended() const { return ended_; }
  bool is_over() const { return over_; }
  void set_over() { over_ = true; }

  /// The last event, with the failure that is the cause; 0: there is none.
  virtual void finish(int error) {
    if (error != 0) say(Item::What::error, error);
    over_ = true;
    say(Item::What::hangup);
  }
  /// What was delivered, and has not been read.
  virtual int kept() const { return 0; }

  void deliver_lifecycle() {
    if (over_ || parked_) return;
    if (!line_.can_read(end_)) {
      if (here().gone) finish(EPIPE);
      return;
    }
    if (ended_) {
      if (here().error != 0) return finish(line_.fetch_error(end_));
      if (here().both_over()) finish(0);
      return;
    }
    if (!reading_) return deliver_while_paused();
    if (here().unread() > 0) return;  // rule 1
    // A FIN that came before the failure is delivered before it, where the protocol keeps them
    // apart.
    const bool fin_first = is_tcp() && here().fin && !support::system_facts().reset_hides_fin;
    if (here().error != 0 && !fin_first) return finish(line_.fetch_error(end_));
    if (!here().inbound_over()) return;
    end();
    if (here().error != 0) return finish(line_.fetch_error(end_));
    if (here().both_over()) finish(0);
  }

  void end() {
    deliver_peer_closed(true);
    ended_ = true;
    say(Item::What::end_of_stream);
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
    say_first(Item::What::peer_closed);
  }

 private:
  Family family() const { return shape(kind_).family; }
  bool is_tcp() const { return family() == Family::tcp || family() == Family::mptcp; }

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

  void deliver_while_paused() {
    if (here().error != 0) return finish(line_.fetch_error(end_));
    if (!here().both_over()) return;
    if (here().unread() + kept() > 0) {
      parked_ = true;
      return;
    }
    end();
    finish(0);
  }

  Kind kind_;
  EarlyNotice notice_;
  Line& line_;
  int end_;
  int seat_;
  Trace* trace_ = nullptr;
  std::size_t start_ = 0;  ///< of this run of the loop in it
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

}  // namespace pollux::differential
