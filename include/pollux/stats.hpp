// SPDX-License-Identifier: MIT
// Looking inside a reactor: counters, and a tracer.
#pragma once

#include <chrono>
#include <cstdint>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>

namespace pollux {

/// What a reactor has done since it was made. Counted always: an increment each.
struct Stats {
  std::uint64_t turns = 0;           ///< of the loop
  std::uint64_t waits = 0;           ///< of the backend: one a turn
  std::uint64_t reports = 0;         ///< raw events that the backend brought
  std::uint64_t stale_reports = 0;   ///< of those, for registrations that had ended
  std::uint64_t events = 0;          ///< calls of watches' handlers
  std::uint64_t timers = 0;          ///< calls of timers' handlers
  std::uint64_t posts = 0;           ///< tasks called that were posted
  std::uint64_t process_events = 0;  ///< calls of signals' and children's handlers
  std::uint64_t changes = 0;         ///< requests to the backend: add, change, remove, still there?
  std::uint64_t coalesced = 0;       ///< changes of interest that needed none
  std::uint64_t probes = 0;          ///< questions to the kernel about one descriptor
  std::uint64_t rebuilds = 0;        ///< the kernel's set was made anew
  /// System calls by the reactor and its backend. Exact on epoll, io_uring and poll; what Asio
  /// calls besides one wait a turn and one re-arm a report is not known.
  std::uint64_t system_calls = 0;
};

/// What a watch was made by: Reactor::watch(), or Reactor::watch_stream().
enum class WatchKind : std::uint8_t { readiness, stream };

/// What becomes of a watch besides its events. Each explains why nothing is delivered from then on.
enum class WatchChange : std::uint8_t {
  masked,  ///< what the kernel goes on reporting leads to no event: from now on it is asked only
           ///< for what is new (rule 2)
  parked,  ///< both directions are over, bytes are unread, and the watch is paused: it waits
           ///< outside the kernel's set until reading resumes (rule 4)
  closed,  ///< the descriptor was closed under the watch: it gets no event any more (rule 11)
  ended,   ///< unwatched: its object was reset or destroyed
};

/// Is called for what the backend reports and for what the loop delivers; TextTracer writes it
/// down. Without a tracer this costs one comparison an event. All members are called by the loop's
/// thread, the first and those that follow a call of the program from inside that call. They must
/// not throw, and must leave the reactor alone. Those with a body are for whoever wants them.
class Tracer {
 public:
  /// A time of the steady clock.
  using time_point = std::chrono::steady_clock::time_point;

  virtual ~Tracer() = default;

  /// From now on `token` stands for a watch of `handle`. Of what is watched when the tracer is set
  /// this is said then.
  virtual void watched(time_point when, NativeHandle handle, Token token, WatchKind kind,
                       Interest interest) noexcept = 0;
  /// A wait has brought this, before anything is decided about it. The watch may have ended.
  virtual void reported(time_point when, Token token, RawReady ready) noexcept = 0;
  /// A stream watch's handler is about to be called with this.
  virtual void delivered(time_point when, Token token, const StreamEvent& event) noexcept = 0;
  /// A readiness watch's handler is about to be called with this.
  virtual void delivered(time_point when, Token token, Readiness readiness) noexcept = 0;
  /// The handler has returned. Not called if it has thrown.
  virtual void handler_returned(time_point /*when*/, Token /*token*/) noexcept {}
  /// set_interest() has set another interest, or a one-shot watch has used its own up.
  virtual void interest_changed(time_point /*when*/, Token /*token*/, Interest /*before*/,
                                Interest /*after*/) noexcept {}
  /// After `ended` the token stands for nothing any more.
  virtual void watch_changed(time_point /*when*/, Token /*token*/,
                             WatchChange /*change*/) noexcept {}
};

}  // namespace pollux
