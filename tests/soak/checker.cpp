// SPDX-License-Identifier: MIT
#include "soak/checker.hpp"

#include <poll.h>
#include <sys/ioctl.h>

namespace pollux::soak {

namespace {

/// Asks by poll(2) and FIONREAD alone: a peek would take an error out of the kernel (rule 10).
short look(const Facts& facts, short wanted) {
  pollfd polled{facts.handle, wanted, 0};
  return ::poll(&polled, 1, 0) < 0 ? short{0} : polled.revents;
}

std::string_view breach_of_peer_closed(const Facts& facts) {
  if (!any(facts.interest, Interest::peer_closed)) return "peer_closed was not asked for";
  if (any(facts.reported, Event::peer_closed)) return "peer_closed twice (rule 15)";
  if (any(facts.reported, Event::end_of_stream)) return "peer_closed after the end (rule 15)";
  // Behind an own SHUT_RD the TCP state does not tell a reset from a FIN.
  const bool is_distinguished = !facts.error_taken && !(facts.own_shut_rd && facts.peer_reset);
  if (!facts.has_fin() && is_distinguished) return "peer_closed of a peer that is open (rule 15)";
  return {};
}

std::string_view breach_of_readable(const Facts& facts) {
  if (!facts.is_reading()) return "readable while paused (rule 4)";
  if (any(facts.reported, Event::end_of_stream)) return "readable after the end (rule 1)";
  if (facts.unread() == 0 && facts.taken_in_turn != facts.turn) return "readable without a byte";
  return {};
}

std::string_view breach_of_end(const Facts& facts, bool with_hangup, bool with_peer_closed) {
  if (any(facts.reported, Event::end_of_stream)) return "end_of_stream twice (rule 2)";
  if (!facts.is_reading() && !with_hangup) return "end_of_stream while paused (rule 4)";
  if (!facts.inbound_is_over()) return "end_of_stream of a stream that goes on";
  // Bytes that arrive behind an own SHUT_RD are not reported (rule 7).
  if (facts.unread() != 0 && !facts.own_shut_rd) return "end_of_stream with bytes unread (rule 1)";
  const bool is_cut = facts.own_shut_rd || facts.error_taken;
  if (!is_cut && facts.was_read != facts.peer_wrote) return "end_of_stream, and bytes were lost";
  if (facts.has_fin() && !is_cut && facts.asked_peer_closed_since < facts.turn &&
      !with_peer_closed && !any(facts.reported, Event::peer_closed))
    return "end_of_stream without the peer_closed that was asked for (rule 15)";
  return {};
}

std::string_view breach_of_failure(const Facts& facts, bool with_hangup) {
  if (!with_hangup) return "error without hangup";
  if (!facts.may_fail()) return "error of a connection that is well";
  if (facts.reading_since < facts.turn && facts.unread() != 0 && !facts.own_shut_rd &&
      !any(facts.reported, Event::end_of_stream))
    return "error before the bytes that the kernel still has (rule 5)";
  return {};
}

std::string_view breach_of_hangup(const Facts& facts, bool with_end) {
  if (facts.kind == Kind::pipe_out) return "hangup of a pipe's writing end without a code (rule 9)";
  if (!facts.inbound_is_over() || !facts.outbound_is_over())
    return "hangup, and not both directions are over";
  if (!with_end && !any(facts.reported, Event::end_of_stream)) return "hangup without the end";
  return {};
}

std::string_view breach_of_writable(const Facts& facts) {
  if (!any(facts.interest, Interest::writable)) return "writable was not asked for";
  if (look(facts, POLLOUT) == 0 && facts.written_in_turn != facts.turn)
    return "writable, and a write would block";
  return {};
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  constexpr std::string_view names[kinds] = {"tcp", "unix", "pipe_in", "pipe_out"};
  return names[static_cast<std::size_t>(kind)];
}

bool Facts::has_fin() const noexcept {
  return peer_shut_wr || peer_closed || (kind == Kind::unix_stream && own_shut_rd);
}

bool Facts::inbound_is_over() const noexcept {
  return has_fin() || own_shut_rd || error_taken;
}

bool Facts::outbound_is_over() const noexcept {
  return own_shut_wr || error_taken || kind == Kind::pipe_in ||
         (kind == Kind::unix_stream && peer_closed);
}

bool Facts::may_fail() const noexcept {
  if (kind == Kind::pipe_in) return false;
  if (kind == Kind::pipe_out) return peer_closed;
  // Bytes for who has shut both directions down are answered with a reset
  // (tcp_rcv_state_process()).
  if (kind == Kind::tcp && own_shut_rd && own_shut_wr) return true;
  return peer_reset || (peer_closed && peer_left_bytes);
}

std::size_t Facts::unread() const {
  int count = 0;
  return ::ioctl(handle, FIONREAD, &count) == 0 ? static_cast<std::size_t>(count) : 0;
}

std::string_view breach(const Facts& facts, const StreamEvent& event) {
  if (!facts.watched) return "an event after the watch has ended (rule 13)";
  if (facts.is_over()) return "an event after hangup (rule 2)";
  if (event.events() == Event::none) return "an event of nothing";
  std::string_view found;
  if (event.peer_closed()) found = breach_of_peer_closed(facts);
  if (found.empty() && event.readable()) found = breach_of_readable(facts);
  if (found.empty() && event.readable() && event.end_of_stream()) found = "readable with the end";
  if (found.empty() && event.end_of_stream())
    found = breach_of_end(facts, event.hangup(), event.peer_closed());
  if (found.empty() && event.error()) found = breach_of_failure(facts, event.hangup());
  if (found.empty() && event.hangup() && !event.error())
    found = breach_of_hangup(facts, event.end_of_stream());
  if (found.empty() && event.writable() && event.hangup()) found = "writable with hangup (rule 2)";
  if (found.empty() && event.writable()) found = breach_of_writable(facts);
  return found;
}

}  // namespace pollux::soak
