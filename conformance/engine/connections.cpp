// SPDX-License-Identifier: MIT
#include "conformance/engine/connections.hpp"

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "conformance/engine/system_kinds.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

using support::Handle;
using support::Pair;
using support::PairKind;

Handle& Connections::listener(Kind kind) {
  Handle& listener = kind == Kind::tcp6 ? tcp6_ : kind == Kind::mptcp ? mptcp_ : tcp4_;
  if (!listener) {
    listener = kind == Kind::mptcp
                   ? make_mptcp_listener()
                   : support::make_listener(kind == Kind::tcp6 ? PairKind::tcp6 : PairKind::tcp4);
  }
  return listener;
}

Pair Connections::make_tcp(Kind kind) {
  const Handle& at = listener(kind);
  Pair pair;
  pair.peer = kind == Kind::mptcp ? connect_mptcp(at)
                                  : support::start_connect(
                                        kind == Kind::tcp6 ? PairKind::tcp6 : PairKind::tcp4, at);
  support::set_no_delay(pair.peer);
  pair.local = support::accept_one(at);
  support::set_no_delay(pair.local);
  await_arrival(pair.peer);
  return pair;
}

Pair swapped(Pair pair) {
  std::swap(pair.local, pair.peer);
  return pair;
}

Pair Connections::make(Kind made) {
  const Kind kind = descriptor_kind(made);
  switch (shape(kind).family) {
    case Family::udp:
      return support::make_udp_pair();
    case Family::listener:
      return {support::make_listener(PairKind::tcp4, support::Protocol::usual, most_callers), {}};
    case Family::tcp:
    case Family::mptcp:
      break;
    default:
      return make_of_this_system(kind);
  }
  if (kind == Kind::refused) return {support::start_refused_connect(PairKind::tcp4), {}};
  return kind == Kind::connecting ? swapped(make_tcp(kind)) : make_tcp(kind);
}

std::string why_unavailable(Kind kind) {
  if (shape(kind).family == Family::mptcp && !support::has_multipath())
    return "no MPTCP here, or none that can be asked about";
  try {
    static_cast<void>(Connections{}.make(kind));
    return {};
  } catch (const std::system_error& error) {
    return error.what();
  }
}

std::string why_unavailable(const History& history) {
  for (const Op op : history.ops) {
    if (const auto why = why_unavailable(history.kind, op); !why.empty()) return std::string{why};
  }
  return why_unavailable(history.kind);
}

Sight look_at(Kind kind, const Handle& handle) {
  const bool later = shape(kind).family == Family::mptcp;
  switch (support::look_at_other_end(handle, std::chrono::milliseconds{later ? 20 : 0})) {
    case support::OtherEnd::open:
      break;
    case support::OtherEnd::closed:
      return Sight::the_end;
    case support::OtherEnd::failed:
      return Sight::a_failure;
  }
  return Sight::nothing;
}

Sight look_at_port(std::uint16_t port) {
  return support::is_free(port) ? Sight::the_end : Sight::nothing;
}

long write_to(Kind kind, const Handle& from, const Handle& to, std::string_view bytes) {
  const long before = support::unread_bytes(to);
  const long written = support::write_bytes(from, bytes);
  // A terminal's bytes are carried over by a thread of the kernel's, MPTCP's by its worker.
  const Family family = shape(kind).family;
  const bool later = family == Family::terminal || family == Family::mptcp;
  if (!later || !to || before < 0 || written <= 0) return written;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{200};
  while (std::chrono::steady_clock::now() < end) {
    const long unread = support::unread_bytes(to);
    if (unread < 0 || unread >= before + written) break;
    std::this_thread::yield();
  }
  return written;
}

long accept_and_drop(const Handle& listener) {
  int error = 0;
  const Handle accepted = support::accept_now(listener, error);
  if (!accepted) return -error;
  support::set_linger_zero(accepted);
  return 1;
}

Handle connect_to(const Handle& listener) {
  return support::start_connect(PairKind::tcp4, listener);
}

}  // namespace pollux::differential
