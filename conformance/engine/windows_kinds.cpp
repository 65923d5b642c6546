// SPDX-License-Identifier: MIT
// Windows has TCP and UDP; what else there is cannot be watched, or not as a stream.
#include <array>
#include <system_error>
#include <utility>

#include "conformance/engine/connections.hpp"
#include "conformance/engine/system_kinds.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

namespace {

using support::Handle;
using support::Pair;

[[noreturn]] void has_none() {
  throw std::system_error{std::make_error_code(std::errc::function_not_supported), "Windows"};
}

}  // namespace

std::span<const Kind> kinds_of_this_system() noexcept {
  static constexpr std::array all{
      Kind::tcp4,     Kind::tcp6,      Kind::connecting, Kind::refused,    Kind::udp,
      Kind::listener, Kind::tcp4_both, Kind::tcp4_relay, Kind::tcp4_twice, Kind::streamed_tcp4};
  return all;
}

Handle make_mptcp_listener() {
  has_none();
}
Handle connect_mptcp(const Handle&) {
  has_none();
}
Pair make_of_this_system(Kind) {
  has_none();
}

std::string_view why_unavailable(Kind kind, Op op) {
  if (kind == Kind::udp && op == Op::peer_close)
    return "what becomes of the answer to a lost datagram is not the same on Windows and Wine";
  if (op == Op::peek) return "Windows has no SO_PEEK_OFF";
  if (op == Op::low_water) return "Windows has no SO_RCVLOWAT";
  return {};
}

bool has_byte(Kind, const Handle& handle, bool urgent) {
  return urgent ? support::peek(handle) == 1 : support::has_unread(handle);
}

/// Wine's sockets are the host's, and its server learns in its own time of what has come for them:
/// until then a reset is what the host says, once, to whoever asks first (server/sock.c,
/// sock_poll_event). With the second answer the server has seen all that was there before the
/// first.
void await_arrival(const Handle& handle) {
  for (int i = 0; i < 2 && handle; ++i) support::look_at_other_end(handle, {});
}

void await_end(const Handle&) {}
void await_hang_up(const Handle&) {}
void acknowledge_at_once(const Handle&) {}

void set_peek_offset(const Handle&) {
  has_none();
}
void set_low_water(const Handle&) {
  has_none();
}
void set_packet_mode(const Handle&) {
  has_none();
}
void discard_input(const Handle&) {
  has_none();
}

}  // namespace pollux::differential
