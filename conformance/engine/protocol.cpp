// SPDX-License-Identifier: MIT
#include "conformance/engine/protocol.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "conformance/support/system.hpp"

namespace pollux::differential {

namespace {

const support::SystemFacts& facts() {
  return support::system_facts();
}

}  // namespace

void Inbox::arrive(int bytes) {
  (mark_ == Mark::none ? before_ : after_) += bytes;
}

void Inbox::arrive_urgent() {
  move_mark();
  mark_ = Mark::unread;
}

void Inbox::move_mark() {
  // There is one urgent byte: an older one is part of the stream from now on, if it was not passed.
  if (mark_ == Mark::none) return;
  const bool joins = keeps_old_ || before_ > 0;
  before_ += after_ + (joins ? urgent_bytes : 0);
  after_ = 0;
  mark_ = Mark::none;
}

int Inbox::read(int most) {
  if (before_ == 0 && mark_ != Mark::none) {  // goes on behind the mark
    mark_ = Mark::none;
    before_ = std::exchange(after_, 0);
  }
  const int count = std::min(most, before_);
  before_ -= count;
  peeked_ = std::max(0, peeked_ - count);
  return count;
}

bool Inbox::peek() {
  if (peeked_ >= unread()) return false;
  ++peeked_;
  return true;
}

Line::Line(Kind kind) : kind_{kind}, family_{shape(kind).family} {
  if (family_ == Family::unix_stream) ends_.fill(End{.in = Inbox{true}});
  if (kind == Kind::refused) {
    ends_[0].gone = true;
    ends_[0].error = ECONNREFUSED;
    ends_[1].open = false;
  }
}

int Line::fetch_error(int end) {
  if (is_tcp() && !facts().failure_is_taken) return at(end).error;
  return std::exchange(at(end).error, 0);
}

/// A reset arrives there. After the other's FIN it shows as a broken pipe (tcp(7); RFC 9293,
/// 3.10.7).
void Line::reset(End& end) {
  if (end.gone) return;
  end.gone = true;
  end.error = end.fin && facts().reset_behind_fin_is_broken_pipe ? EPIPE : ECONNRESET;
  if (facts().reset_discards_unread) end.in = Inbox{};
}

/// FINs both ways: the connection is over, in order.
void Line::close_if_done(End& end) {
  if (is_tcp() && end.fin && end.shut_write) end.gone = true;
}

bool Line::can_read(int end) const {
  if (kind_ == Kind::pipe_reader) return end == 0;
  if (kind_ == Kind::pipe_writer) return end == 1;
  return true;
}

bool Line::can_write(int end) const {
  return family_ == Family::pipe ? !can_read(end) : family_ != Family::listener || end == 1;
}

/// By what it has said that it will not do.
bool Line::refuses_bytes(const End& to) const {
  return to.shut_read && (to.shut_write ? facts().bytes_behind_both_shutdowns_reset
                                        : facts().bytes_behind_own_shutdown_reset);
}

/// Whether what is written there comes to be read at the other end.
bool Line::takes_bytes(int end) {
  End& from = at(end);
  End& to = at(1 - end);
  switch (family_) {
    case Family::tcp:
    case Family::mptcp:
      if (to.open && refuses_bytes(to)) {
        reset(to);
        reset(from);
      } else if (!to.open) {
        reset(from);  // rule 6: the first write succeeds, then everything fires
      } else {
        return true;
      }
      return false;
    case Family::udp:
      if (!to.open) from.error = ECONNREFUSED;
      return to.open;
    default:
      return to.open;
  }
}

/// Of a call on a connection that has failed, where the failure stays.
int Line::result_of_failed(int end, int of_a_refusal, int otherwise) {
  return kind_ == Kind::refused && end == 0 && of_a_refusal != 0 ? of_a_refusal : otherwise;
}

int Line::write(int end, int bytes) {
  End& from = at(end);
  if (is_tcp() && !facts().failure_is_taken && from.error != 0) {
    if (from.shut_write) return -EPIPE;
    return result_of_failed(end, facts().write_after_refusal, -from.error);
  }
  if (family_ == Family::fifo) {
    at(0).in.arrive(bytes);
    return bytes;
  }
  if (family_ == Family::terminal && from.gone) return is_slave(end) ? -EIO : bytes;
  // The pending error goes to whoever writes, and is told only once (rule 10). An AF_UNIX stream
  // keeps it for who reads.
  const bool hands_over = is_tcp() ? from.outbound_over() : has_packets();
  if (hands_over && from.error != 0) return -fetch_error(end);
  if (from.outbound_over()) return -EPIPE;
  if (takes_bytes(end)) at(1 - end).in.arrive(family_ == Family::listener ? 1 : bytes);
  return bytes;
}

void Line::write_urgent(int end) {
  if (at(end).outbound_over()) {
    if (is_tcp()) fetch_error(end);  // to whoever writes
    return;
  }
  // TCP heeds the mark of a segment before it answers it with a reset.
  End& to = at(1 - end);
  if (takes_bytes(end)) {
    to.in.arrive_urgent();
  } else if (is_tcp()) {
    to.in.move_mark();
    to.urgent_lost = true;
  }
}

int Line::read(int end, int most) {
  End& to = at(family_ == Family::fifo ? 0 : end);
  if (to.reads_fail) return -EPIPE;
  if (has_packets() && to.error != 0) return -fetch_error(end);
  if (to.control > 0) {
    to.control = 0;
    return 1;
  }
  if (has_packets()) {  // a read takes one, as much of it as it asks for, and drops the rest
    if (to.in.read(chunk) > 0) return std::min(most, chunk);
  } else if (const int count = to.in.read(most); count > 0) {
    return count + (to.packet_mode ? 1 : 0);
  }
  return nothing_to_read(end);
}

int Line::nothing_to_read(int end) {
  const End& to = at(end);
  if (family_ == Family::tcp && !facts().failure_is_taken && to.error != 0) {
    const bool is_the_end = facts().read_behind_failure_is_the_end;
    return result_of_failed(end, facts().read_after_refusal, is_the_end ? 0 : -to.error);
  }
  if (family_ == Family::tcp && to.fin) return 0;
  if (to.error != 0) return -fetch_error(end);
  if (kind_ == Kind::master && end == 0 && to.gone) return -EIO;
  return to.inbound_over() ? 0 : -EAGAIN;
}

int Line::read_all(int end) {
  // Of a listener: accepts one.
  return read(end, family_ == Family::listener ? 1 : std::numeric_limits<int>::max());
}

int Line::read_urgent(int end) {
  End& to = at(end);
  if (to.reads_fail) return -EPIPE;
  if (!to.in.has_urgent() && !to.urgent_lost) return facts().read_without_urgent_byte;
  if (to.gone && !to.fin) return -ENOTCONN;
  to.in.take_urgent();
  return urgent_bytes;
}

int Line::peek(int end) {
  return at(end).in.peek() ? 1 : nothing_to_read(end);
}

void Line::drain(int end) {
  while (read_all(end) > 0) {
  }
}

/// A connection that was refused has no side to be ended, and where the failure stays the call says
/// so and does nothing.
bool Line::has_no_sides(int end) const {
  return kind_ == Kind::refused && end == 0 && !facts().failure_is_taken;
}

void Line::shutdown_read(int end) {
  if (has_no_sides(end)) return;
  at(end).shut_read = true;
  if (is_tcp() && !facts().own_shutdown_leaves_unread) at(end).reads_fail = true;
  if (is_unix()) at(1 - end).shut_write = true;  // writing there: EPIPE
}

void Line::shutdown_write(int end) {
  End& from = at(end);
  if (from.shut_write || has_no_sides(end)) return;
  from.shut_write = true;
  send_fin(end);
  close_if_done(from);
}

void Line::send_fin(int end) {
  End& to = at(1 - end);
  if (to.gone) return;
  to.fin = true;
  close_if_done(to);
}

void Line::discard(int end) {
  at(end).in.discard();
  if (at(1 - end).packet_mode) at(1 - end).control = 1;
}

void Line::close(int end) {
  End& from = at(end);
  End& to = at(1 - end);
  from.open = false;
  switch (family_) {
    case Family::tcp:
    case Family::mptcp:
      if (from.gone) return;
      if (from.linger_zero || !from.in.is_empty()) return reset(to);
      return from.shut_write ? void() : send_fin(end);
    case Family::unix_stream:
    case Family::seqpacket:
      // Both directions at once (rule 6); with bytes unread over there, a reset.
      to.gone = true;
      if (!from.in.is_empty()) to.error = ECONNRESET;
      return;
    case Family::pipe:
      to.gone = true;
      return;
    case Family::terminal:
      to.gone = true;
      // A hang-up throws away what the slave has not read.
      if (is_slave(1 - end)) to.in.discard();
      return;
    case Family::fifo:
    case Family::udp:
    case Family::listener:
      return;
  }
}

Sight Line::look(int end) const {
  const End& at = (*this)[end];
  if (family_ == Family::fifo) return Sight::nothing;
  // Its port is free, or is not.
  if (family_ == Family::listener) return ends_[0].open ? Sight::nothing : Sight::the_end;
  const bool nobody_reads = family_ == Family::pipe && can_write(end);
  if (at.error != 0 || (at.gone && (is_slave(end) || nobody_reads))) return Sight::a_failure;
  return shows_end(end) ? Sight::the_end : Sight::nothing;
}

bool Line::shows_end(int end) const {
  const End& at = (*this)[end];
  if (!is_tcp()) return at.inbound_over();
  if (facts().own_shutdown_is_reported && at.shut_read) return true;
  return at.gone || (at.fin && !hides_fin(end));
}

bool Line::hides_fin(int end) const {
  const End& at = (*this)[end];
  if (!is_tcp() || at.gone) return false;
  return facts().unread_bytes_hide_fin && at.in.unread() > 0;
}

}  // namespace pollux::differential
