// SPDX-License-Identifier: MIT
// One registration of one descriptor with one reactor.
#pragma once

#include <system_error>
#include <utility>

#include <pollux/detail/registration.hpp>
#include <pollux/events.hpp>
#include <pollux/export.hpp>

namespace pollux {

namespace detail {

/// What both kinds of watch are. All members: loop thread.
class POLLUX_EXPORT WatchBase : public Registration<Registered::watch> {
 public:
  WatchBase() noexcept = default;

  /// Replaces the interest. Gathered until the loop's next wait, so that changes within a turn cost
  /// at most one system call, and one more where it newly asks to write outside its own handler:
  /// the kernel is asked whose the number is. Only a watch that is outside the kernel's set (a
  /// readiness watch without interest, a stream watch held with unread bytes) is put back at once,
  /// and Interest::edge and priority are asked for at once; those alone can fail with the kernel's
  /// error. `invalid_argument` as for Reactor::watch(). Errc::watch_closed for an empty watch and
  /// for one whose descriptor was closed under it; Errc::reactor_closed if the reactor is gone.
  /// After hangup it has no effect.
  void set_interest(Interest interest);
  void set_interest(Interest interest, std::error_code& error) noexcept;

  /// What was asked for last; none for an empty watch.
  Interest interest() const noexcept;

  /// Ends the watch, as reset() does, and closes the descriptor, if the number still stands for the
  /// file that was watched: the kernel is asked first, so that another's file is never closed.
  /// False if there is nothing to close: the watch is empty, its reactor is gone, or the descriptor
  /// was closed under it. Loop thread.
  bool close() noexcept;

 private:
  using Registration::Registration;
};

}  // namespace detail

/// A plain registration: readable, writable, exceptional, as a foreign library or an eventfd wants
/// it. Hang-up and error wake whichever was asked for; nothing is probed or consumed. Made by
/// Reactor::watch(). Does not own the descriptor: unwatch first, close then, or close() it.
class Watch : public detail::WatchBase {
 public:
  Watch() noexcept = default;

 private:
  using WatchBase::WatchBase;
};

/// The registration of a byte stream (TCP, AF_UNIX stream, pipe, FIFO, terminal), with the whole
/// lifecycle of docs/contract.md. Made by Reactor::watch_stream(). Does not own the descriptor:
/// unwatch first, close then, or close() it.
class POLLUX_EXPORT StreamWatch : public detail::WatchBase {
 public:
  StreamWatch() noexcept = default;

  /// How soon Interest::peer_closed is answered on this stream, on this backend. Loop thread.
  PeerClosedLatency peer_closed_latency() const noexcept;

 private:
  using WatchBase::WatchBase;
};

}  // namespace pollux
