// SPDX-License-Identifier: MIT
// Fresh connections of every kind that histories are played on, and what is asked of them that the
// plain operations of support/pairs.hpp do not ask.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "conformance/engine/history.hpp"
#include "conformance/engine/protocol.hpp"
#include "conformance/support/pairs.hpp"

namespace pollux::differential {

/// Makes connections; for TCP with listeners of its own.
class Connections {
 public:
  /// Throws std::system_error; of a kind that there is none of here, always.
  support::Pair make(Kind made);

 private:
  support::Handle& listener(Kind kind);
  support::Pair make_tcp(Kind kind);

  support::Handle tcp4_;
  support::Handle tcp6_;
  support::Handle mptcp_;
};

/// The kinds that a system like this one has, whether or not one can be made here.
std::span<const Kind> kinds_of_this_system() noexcept;

/// Why none of this kind can be made here; empty if one can.
std::string why_unavailable(Kind kind);
/// Likewise why an operation that applies to it cannot be played.
std::string_view why_unavailable(Kind kind, Op op);

/// Likewise of a history.
std::string why_unavailable(const History& history);

// What is asked of a descriptor of that kind; none takes anything from it.

/// Whether a read gets a byte. `urgent`: one has been sent, and is not counted where others are.
bool has_byte(Kind kind, const support::Handle& handle, bool urgent);
/// Of what a close at the other end shows.
Sight look_at(Kind kind, const support::Handle& handle);
/// Whether it is free, which is the end of who had it.
Sight look_at_port(std::uint16_t port);

/// What the kernel does later, in a thread of its own, is waited for; not for long, as it may be
/// there already, or never come.
void await_arrival(const support::Handle& handle);  ///< of what was sent there before
void await_end(const support::Handle& handle);      ///< the other side's
void await_hang_up(const support::Handle& handle);  ///< of both directions
/// What arrives next at a socket of TCP is acknowledged then, and not when the kernel likes.
void acknowledge_at_once(const support::Handle& handle);

// Operations. Each returns what the system call did, as those of support/pairs.hpp.

/// Comes back when what was written to `to` by `from` is there.
long write_to(Kind kind, const support::Handle& from, const support::Handle& to,
              std::string_view bytes);
long accept_and_drop(const support::Handle& listener);
/// Another connection that waits to be accepted.
support::Handle connect_to(const support::Handle& listener);
/// From now on the socket remembers how far it was peeked at.
void set_peek_offset(const support::Handle& handle);
void set_low_water(const support::Handle& handle);
void set_packet_mode(const support::Handle& master);
void discard_input(const support::Handle& terminal);

}  // namespace pollux::differential
