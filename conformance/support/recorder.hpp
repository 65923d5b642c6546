// SPDX-License-Identifier: MIT
// What a stream watch is told, written down, and waits that are bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// Runs turns until `done`, for at most five seconds; what `done` says then.
bool run_until(Reactor& reactor, const std::function<bool()>& done);
/// The same, where it shows at `peer`, which the reactor knows nothing of.
bool run_until(Reactor& reactor, const Handle& peer, const std::function<bool()>& done);

/// Runs a few turns that do not wait: whatever is true and reported again is heard again.
void settle(Reactor& reactor);

/// How many waits the backend is asked for while the loop runs for that long: one, which runs into
/// the deadline, if there is nothing to do.
std::uint64_t waits_in(std::chrono::milliseconds duration, Reactor& reactor);

/// The names of the events in order, whether they came in one call of the handler or in several.
/// What is delivered for as long as it is true, `readable` and `writable`, stands once between two
/// of the others. `ignored` is left out.
std::string story(const std::vector<StreamEvent>& events, Event ignored = Event::none);

/// Watches one stream, keeps what its handler is reported, and holds it to what is true of every
/// story: each event at most once, in the order of the lifecycle, none that was not asked for.
class Recorder {
 public:
  using Reaction = std::function<void(const StreamEvent&)>;

  Recorder(Reactor& reactor, const Handle& handle, Interest interest);
  Recorder(Recorder&&) = delete;
  ~Recorder();

  /// Called with each event after it has been kept.
  void on_event(Reaction reaction) { reaction_ = std::move(reaction); }

  /// Leaves these out of what events_until() returns.
  void ignore(Event events) noexcept { ignored_ = events; }

  /// Runs turns until the story since the last call is `expected`, and then some more: what was
  /// heard, which is forgotten. A story that does not come true within five seconds ends where it
  /// is; one that breaks what holds of every story ends with the sentence that it broke.
  std::string events_until(std::string_view expected);

  /// Takes all that was delivered so far as returned.
  void forget() noexcept { received_ = events_.size(); }

  /// Every call of the handler, from the first.
  const std::vector<StreamEvent>& events() const noexcept { return events_; }
  /// The last error that was reported.
  std::error_code error() const noexcept { return error_; }

  StreamWatch watch;

  NativeHandle handle() const noexcept { return handle_; }

 private:
  void keep(const StreamEvent& event);
  std::string unheard() const;

  Reactor& reactor_;
  NativeHandle handle_;
  std::vector<StreamEvent> events_;
  Event seen_ = Event::none;
  Event ignored_ = Event::none;
  Interest once_ = Interest::none;  ///< what was asked for, if as one_shot
  std::string_view broken_;
  std::size_t received_ = 0;  ///< of the events, by events_until()
  std::error_code error_;
  Reaction reaction_;
};

// What the owner of a stream does to end its own side: a shutdown by hand. Where a system reports
// nothing of that (SystemFacts::own_shutdown_is_reported), it goes through the watch of the newest
// Recorder that the stream has, if it has one.
void end_reading(const Handle& handle);
void end_writing(const Handle& handle);
void end_both(const Handle& handle);
/// What of that was done without a Recorder goes through the watch of one that comes later, on such
/// a system: `recorder` learns of its own. Forgotten first, before its stream is made.
void forget_own_ends();
void report_own_ends(Recorder& recorder);

}  // namespace pollux::support
