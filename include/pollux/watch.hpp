// SPDX-License-Identifier: MIT
// One registration of one descriptor with one reactor.
#pragma once

#include <system_error>

#include <pollux/detail/registration.hpp>
#include <pollux/events.hpp>
#include <pollux/export.hpp>

namespace pollux {

namespace detail {

/// What both kinds of watch are made of.
class POLLUX_EXPORT WatchBase : public Registration<Registered::watch> {
 protected:
  using Registration::Registration;

  void change_interest(Interest interest);
  void change_interest(Interest interest, std::error_code& error) noexcept;
  Interest current_interest() const noexcept;
  bool close_descriptor() noexcept;
};

}  // namespace detail

/// A plain registration: readable, writable, exceptional, as a foreign library or an eventfd wants
/// it. Hang-up and error wake whichever was asked for; nothing is probed or consumed. Made by
/// Reactor::watch(). It ends with the object, which may be moved, and does not own the descriptor:
/// end the watch first, close then, or close() it. All members: loop thread, and harmless when the
/// reactor is gone.
class Watch : private detail::WatchBase {
 public:
  /// Watches nothing.
  Watch() noexcept = default;

  /// Ends the watch: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself. The descriptor is left as it is.
  void reset() noexcept { end(); }

  /// Whether this object holds a watch that has not been ended. True also when the reactor is
  /// gone.
  explicit operator bool() const noexcept { return is_live(); }

  /// Replaces the interest. Gathered until the loop's next wait, so that changes within a turn cost
  /// at most one system call, and one more where it newly asks to write outside its own handler:
  /// the kernel is asked whose the number is. Only a watch that is outside the kernel's set, since
  /// it has no interest, is put back at once, and Interest::edge and priority are asked for at
  /// once; those alone can fail with the kernel's error. `invalid_argument` as for
  /// Reactor::watch(). Errc::watch_closed for a watch that has ended and for one whose descriptor
  /// was closed under it; Errc::reactor_closed if the reactor is gone.
  void set_interest(Interest interest) { change_interest(interest); }
  void set_interest(Interest interest, std::error_code& error) noexcept {
    change_interest(interest, error);
  }

  /// What was asked for last; none for a watch that has ended.
  Interest interest() const noexcept { return current_interest(); }

  /// Ends the watch, as reset() does, and closes the descriptor, if the number still stands for the
  /// file that was watched: the kernel is asked first, so that another's file is never closed.
  /// False if there is nothing to close: the watch has ended, its reactor is gone, or the
  /// descriptor was closed under it.
  bool close() noexcept { return close_descriptor(); }

 private:
  friend class Reactor;
  friend class detail::LentWatch<Watch>;
  using WatchBase::WatchBase;
};

/// The registration of a byte stream (TCP, AF_UNIX stream, pipe, FIFO, terminal), with the whole
/// lifecycle of docs/contract.md. Made by Reactor::watch_stream(). It ends with the object, which
/// may be moved, and does not own the descriptor: end the watch first, close then, or close() it.
/// All members: loop thread, and harmless when the reactor is gone.
class POLLUX_EXPORT StreamWatch : private detail::WatchBase {
 public:
  /// Watches nothing.
  StreamWatch() noexcept = default;

  /// Ends the watch: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself. The descriptor is left as it is.
  void reset() noexcept { end(); }

  /// Whether this object holds a watch that has not been ended: true also after hangup, and when
  /// the reactor is gone.
  explicit operator bool() const noexcept { return is_live(); }

  /// Replaces the interest. Gathered until the loop's next wait, so that changes within a turn cost
  /// at most one system call, and one more where it newly asks to write outside its own handler:
  /// the kernel is asked whose the number is. Only a watch that is parked, with bytes unread behind
  /// its end, is put back at once; that alone can fail with the kernel's error. `invalid_argument`
  /// as for Reactor::watch_stream(). Errc::watch_closed for a watch that has ended and for one
  /// whose descriptor was closed under it; Errc::reactor_closed if the reactor is gone. After
  /// hangup it has no effect.
  void set_interest(Interest interest) { change_interest(interest); }
  void set_interest(Interest interest, std::error_code& error) noexcept {
    change_interest(interest, error);
  }

  /// What was asked for last; none for a watch that has ended.
  Interest interest() const noexcept { return current_interest(); }

  /// Ends one's own side of a socket, as shutdown(2) does, and has the next turn find out what has
  /// become of the stream: what rule 7 of the contract says is delivered everywhere. Of a shutdown
  /// by hand some kernels report nothing (Windows). Errors: the kernel's (`not_connected`;
  /// `not_a_socket` for a pipe or a terminal); Errc::watch_closed for a watch that has ended and
  /// for one whose descriptor was closed under it; Errc::reactor_closed if the reactor is gone.
  void shutdown(Shutdown how);
  void shutdown(Shutdown how, std::error_code& error) noexcept;

  /// How soon Interest::peer_closed is answered on this stream, on this backend.
  PeerClosedLatency peer_closed_latency() const noexcept;

  /// Ends the watch, as reset() does, and closes the descriptor, if the number still stands for the
  /// file that was watched: the kernel is asked first, so that another's file is never closed.
  /// False if there is nothing to close: the watch has ended, its reactor is gone, or the
  /// descriptor was closed under it.
  bool close() noexcept { return close_descriptor(); }

 private:
  friend class Reactor;
  friend class detail::LentWatch<StreamWatch>;
  using WatchBase::WatchBase;
};

}  // namespace pollux
