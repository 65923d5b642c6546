// SPDX-License-Identifier: MIT
// What an application asks for, and what the loop delivers (docs/contract.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <pollux/export.hpp>

namespace pollux {

/// What a watch is asked to report. Failures and hang-up of a stream watch are reported in any
/// case.
enum class Interest : std::uint8_t {
  none = 0,
  readable = 1,
  writable = 4,
  peer_closed =
      2,  ///< stream watches only: the peer's FIN, also while paused or behind unread bytes

  // How it is delivered. Without one of these: for as long as it is true (level-triggered).
  one_shot = 8,  ///< once: when the handler is called, its interest is none, until set_interest().
                 ///< Failures and hang-up of a stream come in any case, as for any that is paused.
  edge = 16,  ///< readiness watches only: when it becomes true, and at each change after that, not
              ///< for as long as it is true. Whoever asks for it reads and writes until that would
              ///< block. `operation_not_supported` on a backend that cannot.

  priority = 32,  ///< readiness watches only: exceptional conditions, which poll(2) calls POLLPRI:
                  ///< TCP's urgent data, GPIO lines, PSI triggers, changes of mountinfo, DRM
                  ///< events. `operation_not_supported` on a backend that has none.
};

/// Interest as a set of bits.
constexpr Interest operator|(Interest a, Interest b) noexcept {
  return static_cast<Interest>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Interest operator&(Interest a, Interest b) noexcept {
  return static_cast<Interest>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr Interest operator~(Interest a) noexcept {
  return static_cast<Interest>(~static_cast<unsigned>(a) & 63u);
}
constexpr Interest& operator|=(Interest& a, Interest b) noexcept {
  return a = a | b;
}
constexpr Interest& operator&=(Interest& a, Interest b) noexcept {
  return a = a & b;
}

/// Whether `set` has any bit of `wanted`.
constexpr bool any(Interest set, Interest wanted) noexcept {
  return (set & wanted) != Interest::none;
}

/// What the loop delivers to a readiness watch: what it asked for, and two hints that come unasked.
class Readiness {
 public:
  /// `bits` are those of Interest that hold.
  constexpr explicit Readiness(Interest bits, bool error = false, bool hangup = false) noexcept
      : bits_{bits}, error_{error}, hangup_{hangup} {}

  /// A read would not block: bytes, the end, or an error are there.
  constexpr bool readable() const noexcept { return any(bits_, Interest::readable); }
  /// A write would not block: there is room, or it fails.
  constexpr bool writable() const noexcept { return any(bits_, Interest::writable); }
  /// An exceptional condition is there; only with Interest::priority.
  constexpr bool priority() const noexcept { return any(bits_, Interest::priority); }

  /// A failure or a notice is pending: a hint to read SO_ERROR, or the error queue of a socket that
  /// has one (MSG_ERRQUEUE). It comes with readable and writable, whichever was asked for. A hint
  /// that stands alone is delivered once, and again when more has happened; so is an exceptional
  /// condition.
  constexpr bool error() const noexcept { return error_; }
  /// The other side is gone, or both directions are over: a read does not block.
  constexpr bool hangup() const noexcept { return hangup_; }

  friend constexpr bool operator==(Readiness, Readiness) = default;

 private:
  Interest bits_;
  bool error_;
  bool hangup_;
};

/// Which sides of a stream its owner ends: as SHUT_RD, SHUT_WR and SHUT_RDWR of shutdown(2).
enum class Shutdown : std::uint8_t {
  read,   ///< nothing more is to be received
  write,  ///< nothing more will be sent: the peer receives the end of the stream
  both,   ///< the two at once
};

/// The events of a stream watch, as bits, in the order of the lifecycle.
enum class Event : std::uint8_t {
  none = 0,
  peer_closed = 1,
  readable = 2,
  end_of_stream = 4,
  error = 8,
  hangup = 16,
  writable = 32,
};

/// Events as a set of bits.
constexpr Event operator|(Event a, Event b) noexcept {
  return static_cast<Event>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Event& operator|=(Event& a, Event b) noexcept {
  return a = a | b;
}
/// Whether `set` has any bit of `wanted`.
constexpr bool any(Event set, Event wanted) noexcept {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(wanted)) != 0;
}

/// What the loop delivers to a stream watch in one call of its handler: one event or several. A
/// handler that handles more than one takes them in the order of the members below, `writable`
/// last.
class StreamEvent {
 public:
  /// `error` goes with Event::error.
  explicit StreamEvent(Event events, std::error_code error = {}) noexcept
      : events_{events}, error_{error} {}

  /// Early notice, once: the peer has sent its FIN, although bytes may still be unread and nobody
  /// may be reading. Only with Interest::peer_closed; never after end_of_stream.
  bool peer_closed() const noexcept { return any(events_, Event::peer_closed); }
  /// At least one byte can be read. Never stands for the end.
  bool readable() const noexcept { return any(events_, Event::readable); }
  /// Once: the inbound side has ended and every byte before has been read; a read returns 0 now.
  /// Writing goes on for as long as the peer reads.
  bool end_of_stream() const noexcept { return any(events_, Event::end_of_stream); }
  /// Once, with hangup: the connection failed, and this is why. False (no error) otherwise. The
  /// code was taken from the kernel: a later SO_ERROR, recv or send does not report it again.
  const std::error_code& error() const noexcept { return error_; }
  /// Once, the last event: both directions are over, and nothing follows. The descriptor has
  /// already left the kernel's set; it is still open, and still yours to close.
  bool hangup() const noexcept { return any(events_, Event::hangup); }
  /// A write will make progress, or fail at once. Never beside or after hangup.
  bool writable() const noexcept { return any(events_, Event::writable); }

  /// All of them, as bits.
  Event events() const noexcept { return events_; }

  friend bool operator==(const StreamEvent&, const StreamEvent&) = default;

 private:
  Event events_;
  std::error_code error_;
};

/// How soon peer_closed comes on a given stream watch.
enum class PeerClosedLatency : std::uint8_t {
  immediate,  ///< with the FIN: the kernel reports it
  probed,  ///< at once if nothing is unread, else found by looking at the TCP state: at every event
           ///< of that watch, and on a timer that backs off to ReactorOptions::probe_interval_max
  after_drain,  ///< at once if nothing is unread, else when the last byte has been read (AF_UNIX)
};

/// "readable end_of_stream", "error(connection reset) hangup": for logs, traces and tests. Any
/// thread.
POLLUX_EXPORT std::string to_string(const StreamEvent& event);
POLLUX_EXPORT std::string to_string(Event events);
/// "readable|writable", "none".
POLLUX_EXPORT std::string to_string(Interest interest);
POLLUX_EXPORT std::string_view to_string(PeerClosedLatency latency) noexcept;

}  // namespace pollux
