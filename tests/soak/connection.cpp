// SPDX-License-Identifier: MIT
#include "soak/connection.hpp"

#include <algorithm>

#include <poll.h>

namespace pollux::soak {

namespace {

constexpr std::size_t all = 65536;

/// Which of `wanted` a handle has now.
short polled(const support::Handle& handle, short wanted) {
  pollfd asked{handle.get(), wanted, 0};
  return ::poll(&asked, 1, 0) < 0 ? short{0} : asked.revents;
}

}  // namespace

Connection::Connection(Common& common, Kind kind, std::uint64_t index, std::uint64_t seed,
                       support::Pair ends)
    : common_{common},
      index_{index},
      random_{seed ^ (index * 0x9E3779B97F4A7C15u)},
      ends_{std::move(ends)},
      left_{static_cast<unsigned>(random_.below(20))},
      way_{static_cast<unsigned>(random_.below(6))},
      to_local_{random_.next() >> 1},
      to_peer_{random_.next() >> 1} {
  facts_.kind = kind;
  facts_.handle = ends_.local.get();
  facts_.reading_since = facts_.asked_peer_closed_since = never;
  if (random_.chance(15)) peer_may_write() ? peer_write(random_.size()) : write(random_.size());
  watch_anew();
}

void Connection::step() {
  if (done()) return;
  facts_.turn = common_.turn;
  facts_.may_be_held = facts_.may_be_held || facts_.is_held();
  if (is_waiting()) {
    wait_for_what_is_due();
  } else if (stage_ == Stage::operations && left_ > 0) {
    --left_;
    operate();
  } else if (stage_ == Stage::silence) {
    if (left_-- > 0) {
      if (watch_ && random_.chance(20)) set_interest(Interest::readable | Interest::writable);
      return;
    }
    note("end");
    watch_.reset();
    facts_.watched = false;
    stage_ = Stage::done;
  } else {
    finish();
  }
}

void Connection::operate() {
  // What makes no sense now is left out; something does, mostly.
  for (int tries = 0; tries < 8; ++tries) {
    if (operate(random_.below(22))) return;
  }
}

bool Connection::operate(std::size_t which) {
  const bool in = may_read();
  const bool out = may_write();
  const auto only_if = [](bool possible, auto&& operation) {
    if (possible) operation();
    return possible;
  };
  switch (which) {
    case 0:
    case 1:
    case 2:
      return only_if(peer_may_write(), [&] { peer_write(random_.size()); });
    case 3:
      return only_if(peer_may_write() && random_.chance(20), [&] { peer_fill(); });
    case 4:
    case 5:
      return only_if(has_peer() && facts_.kind != Kind::pipe_in,
                     [&] { peer_read(random_.size()); });
    case 6:
      return only_if(peer_may_write() && facts_.is_socket() && random_.chance(30),
                     [&] { peer_shut_down(); });
    case 7:
    case 8:
      return only_if(out, [&] { write(random_.size()); });
    case 9:
      return only_if(out && random_.chance(30), [&] { fill(); });
    case 10:
      return only_if(in && !facts_.own_shut_rd, [&] { read(random_.size()); });
    case 11:
    case 12:
      return only_if(in && peer_may_write(), [&] { steal(); });
    case 13:
    case 14:
      return only_if(in, [&] { toggle(Interest::readable); });
    case 15:
      return only_if(out, [&] { toggle(Interest::writable); });
    case 16:
      return only_if(facts_.is_socket(), [&] { toggle(Interest::peer_closed); });
    case 17:
      return only_if(out && facts_.is_socket() && random_.chance(20), [&] { shut_down_write(); });
    case 18:
      return only_if(in && facts_.is_socket() && random_.chance(10), [&] { shut_down_read(); });
    case 19:
      return only_if(!facts_.is_over() && random_.chance(30), [&] { watch_anew(); });
    case 20:
      return expect_event(random_.chance(50) ? Due::readable : Due::writable);
    default:
      return random_.chance(50) ? expect_event(Due::peer_closed) : break_off();
  }
}

/// The bytes that woke the watch are gone when the loop looks; what is asked for then must be heard
/// all the same.
void Connection::steal() {
  peer_write(random_.size());
  read(all);
  if (random_.chance(30)) {
    static_cast<void>(expect_event(Due::writable));
  } else if (random_.chance(30)) {
    toggle(Interest::readable);
  }
}

/// Ends now, whatever was still to be done.
bool Connection::break_off() {
  if (!random_.chance(20)) return false;
  left_ = 0;
  return true;
}

void Connection::set_interest(Interest interest) {
  if (!facts_.is_reading() && any(interest, Interest::readable))
    facts_.reading_since = common_.turn;
  if (!any(interest, Interest::readable)) facts_.reading_since = never;
  const bool asks = any(interest, Interest::peer_closed);
  if (asks && !any(facts_.interest, Interest::peer_closed))
    facts_.asked_peer_closed_since = common_.turn;
  if (!asks) facts_.asked_peer_closed_since = never;
  facts_.interest = interest;
  facts_.may_be_held = facts_.may_be_held && !facts_.is_reading();
  note("interest(" + to_string(interest) + ")");
  std::error_code error;
  watch_.set_interest(interest, error);
  if (error) wrong("set_interest() answered " + error.message());
}

void Connection::toggle(Interest bit) {
  set_interest(any(facts_.interest, bit) ? facts_.interest & ~bit : facts_.interest | bit);
}

/// A fresh watch of the same stream; it reports all that is true, whatever the last one has.
void Connection::watch_anew() {
  Interest interest = facts_.kind == Kind::pipe_out ? Interest::writable : Interest::readable;
  if (random_.chance(20)) interest = Interest::none;
  if (facts_.is_socket() && random_.chance(30)) interest |= Interest::writable;
  if (facts_.is_socket() && random_.chance(40)) interest |= Interest::peer_closed;
  note("watch(" + to_string(interest) + ")");
  watch_.reset();
  facts_.reported = Event::none;
  facts_.may_be_held = false;
  facts_.interest = interest;
  const auto since = [&](Interest bit) { return any(interest, bit) ? common_.turn : never; };
  facts_.reading_since = since(Interest::readable);
  facts_.asked_peer_closed_since = since(Interest::peer_closed);
  std::error_code error;
  watch_ = common_.reactor.watch_stream(
      ends_.local.get(), interest, [this](const StreamEvent& event) { handle(event); }, error);
  facts_.watched = !error;
  if (error) wrong("watch_stream() answered " + error.message());
}

/// Waits for an event that is due, if one is or can be made so.
bool Connection::expect_event(Due what) {
  if (facts_.is_over() || !watch_) return false;
  if (what == Due::readable) {
    if (!may_read() || facts_.has_ended() || facts_.unread() == 0) return false;
    if (!facts_.is_reading()) set_interest(facts_.interest | Interest::readable);
  } else if (what == Due::writable) {
    if (!may_write() || polled(ends_.local, POLLOUT) == 0) return false;
    set_interest(facts_.interest | Interest::writable);
  } else {
    // Behind bytes that have not arrived, the FIN has not either.
    if (facts_.kind != Kind::tcp || facts_.own_shut_rd || facts_.has_ended()) return false;
    if (!facts_.has_fin() || facts_.was_read + facts_.unread() != facts_.peer_wrote) return false;
    if (any(facts_.reported, Event::peer_closed) || facts_.may_be_held) return false;
    set_interest(facts_.interest | Interest::peer_closed);
  }
  expect(what);
  return true;
}

void Connection::expect(Due what) {
  due_ = what;
  since_due_ = Event::none;
  due_until_ = std::chrono::steady_clock::now() + common_.patience;
  note("<" + std::string{name(what)} + " is due>");
}

std::string_view Connection::name(Due due) const {
  constexpr std::string_view names[] = {
      "nothing",       "readable", "writable",           "peer_closed",
      "end_of_stream", "hangup",   "the end at the peer"};
  return names[static_cast<std::size_t>(due)];
}

bool Connection::is_fulfilled() {
  switch (due_) {
    case Due::nothing:
      return true;
    case Due::readable:
      return any(since_due_, Event::readable) || facts_.has_ended();
    case Due::writable:
      return any(since_due_, Event::writable) || facts_.is_over();
    case Due::peer_closed:
      return any(facts_.reported, Event::peer_closed) || facts_.has_ended();
    case Due::end:
      return facts_.has_ended();
    case Due::hangup:
      return facts_.is_over();
    case Due::end_at_peer:
      if (facts_.kind == Kind::pipe_in) return (polled(ends_.peer, POLLOUT) & POLLERR) != 0;
      for (std::uint64_t before = ~facts_.peer_read;
           !peer_saw_end_ && before != facts_.peer_read;) {
        before = facts_.peer_read;
        if (polled(ends_.peer, POLLIN) != 0) peer_read(all);
      }
      return peer_saw_end_;
  }
  return true;
}

void Connection::wait_for_what_is_due() {
  // The owner's own call has had the failure, and nobody reads: a watch with bytes unread is held
  // until reading resumes (rules 4 and 10).
  if (due_ == Due::hangup && facts_.error_taken && !facts_.is_reading())
    set_interest(facts_.interest | Interest::readable);
  if (is_fulfilled()) {
    due_ = Due::nothing;
  } else if (std::chrono::steady_clock::now() > due_until_) {
    wrong("stuck: " + std::string{name(due_)} + " is due and does not come");
  }
}

/// The connection ends in one of a few ways; each wants its last event.
void Connection::finish() {
  if (stage_ == Stage::operations) {
    stage_ = Stage::end;
    if (way_ == 5 && !may_read()) way_ = 2;
  }
  if (way_ < 2) {
    finish_by_closing();
  } else if (way_ == 5) {
    finish_paused();
  } else {
    finish_by_peer();
  }
}

/// The local side closes: the peer must see it.
void Connection::finish_by_closing() {
  if (stage_ == Stage::end) {
    close_local();
    stage_ = has_peer() ? Stage::second_end : Stage::done;
    if (has_peer()) expect(Due::end_at_peer);
    return;
  }
  stage_ = Stage::done;
}

void Connection::close_local() {
  const std::size_t how = random_.below(common_.mistakes ? 20 : 18);
  facts_.watched = false;
  if (how < 10) {
    note("reset+close");
    watch_.reset();
    ends_.local.close();
  } else if (how < 18) {
    note("watch.close");
    if (watch_.close()) {
      static_cast<void>(ends_.local.release());
    } else {
      wrong("close() closed nothing");
    }
  } else {
    note("close+reset");
    ends_.local.close();
    watch_.reset();
  }
}

/// The peer closes, or resets, or half-closes and the local side does too.
void Connection::finish_by_peer() {
  const bool is_reset = facts_.kind == Kind::tcp && way_ == 4;
  if (stage_ == Stage::end) {
    const bool half = facts_.is_socket() && way_ == 3;
    is_reset ? peer_reset() : half ? peer_shut_down() : peer_close();
    if (may_read() && !facts_.is_over() && (facts_.may_be_held || !is_reset))
      set_interest(facts_.interest | Interest::readable);
    stage_ = Stage::second_end;
    expect(is_reset ? Due::hangup : Due::end);
  } else if (stage_ == Stage::second_end && !facts_.is_over()) {
    if (facts_.kind == Kind::tcp && !facts_.own_shut_wr) shut_down_write();
    if (facts_.kind == Kind::unix_stream && !facts_.own_shut_wr && has_peer()) shut_down_write();
    stage_ = Stage::third_end;
    expect(Due::hangup);
  } else {
    stage_ = Stage::silence;
    left_ = static_cast<unsigned>(random_.below(6));
  }
}

/// Both directions are over behind a pause: nothing may be reported until reading goes on.
void Connection::finish_paused() {
  if (stage_ == Stage::end) {
    if (!facts_.is_over()) set_interest(facts_.interest & ~Interest::readable);
    if (peer_may_write() && random_.chance(70)) peer_write(random_.size());
    peer_close();
    if (may_write()) shut_down_write();
    stage_ = Stage::second_end;
    left_ = static_cast<unsigned>(random_.below(8));
  } else if (stage_ == Stage::second_end && left_ > 0) {
    --left_;
  } else if (stage_ == Stage::second_end) {
    if (!facts_.is_over()) set_interest(facts_.interest | Interest::readable);
    stage_ = Stage::third_end;
    expect(Due::hangup);
  } else {
    stage_ = Stage::silence;
    left_ = static_cast<unsigned>(random_.below(6));
  }
}

void Connection::handle(const StreamEvent& event) {
  facts_.turn = common_.turn;
  ++common_.events;
  note('[' + to_string(event) + ']');
  if (const std::string_view what = breach(facts_, event); !what.empty()) return wrong(what);
  facts_.reported |= event.events();
  since_due_ |= event.events();
  if (event.readable()) on_readable();
  if (event.writable() && !done()) on_writable();
  if (!done() && random_.chance(3)) common_.meddle(*this);
}

void Connection::on_readable() {
  const bool is_free = stage_ == Stage::operations && !is_waiting();
  const std::size_t which = random_.below(100);
  if (which < 70) {
    read(all);
  } else if (which < 90 || !is_free) {
    read(random_.size());
  } else if (which < 95) {
    set_interest(facts_.interest & ~Interest::readable);
  } else if (which < 97) {
    left_ = 0;
    way_ = 0;
    finish();
  }
}

void Connection::on_writable() {
  const std::size_t which = random_.below(100);
  if (may_write() && which < 30) write(random_.size());
  if (may_write() && which < 35) fill();
  // Whoever goes on asking is delivered for ever.
  if (watch_ && which > 5) set_interest(facts_.interest & ~Interest::writable);
}

void Connection::note(std::string_view what, long amount) {
  if (noted_turn_ != common_.turn && !history_.empty()) history_ += " |";
  noted_turn_ = common_.turn;
  if (!history_.empty()) history_ += ' ';
  history_ += what;
  if (amount != -1) (history_ += '(') += std::to_string(amount) + ')';
}

void Connection::wrong(std::string_view what) {
  if (done()) return;
  stage_ = Stage::done;
  common_.report(*this, what);
}

}  // namespace pollux::soak
