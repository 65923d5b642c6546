// SPDX-License-Identifier: MIT
// Where one scenario is played: a reactor on one backend, the descriptors by name, and what each
// watch has seen and heard since the last step.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

#include <pollux/pollux.hpp>

#include "conformance/scenarios/script.hpp"
#include "conformance/support/contestants.hpp"

namespace pollux::scenarios {

/// What the backend has reported, by registration.
class RawLog final : public Tracer {
 public:
  void watched(time_point, NativeHandle, Token token, WatchKind, Interest) noexcept override {
    last_watched = token;
  }
  void reported(time_point, Token token, RawReady ready) noexcept override {
    reports.push_back({token, ready});
  }
  void delivered(time_point, Token, const StreamEvent&) noexcept override {}
  void delivered(time_point, Token, Readiness) noexcept override {}

  Token last_watched;
  std::vector<RawEvent> reports;
};

class Stage {
 public:
  Stage(const support::Contestant& contestant, PairKind kind);

  RawReady reports() const noexcept { return reactor_.backend_reports(); }
  /// An empty one if there is none of that name yet.
  support::Handle& handle(Name name) { return handles_[std::string{name}]; }

  void watch(Name name, Interest interest, bool reads);
  void ask(Name name, Interest interest) { part(name).watch.set_interest(interest); }
  void unwatch(Name name) { part(name).watch.reset(); }
  /// By hand; and where a system reports nothing of that, through the watch as well.
  void shut_down(Name name, Shutdown how);
  void reuse_number();

  /// Runs the loop: until what is awaited has been delivered, for a bounded time, and then until
  /// nothing new has come for several turns.
  std::vector<WatchRecord> settle(const std::vector<Delivers>& awaited);

 private:
  /// What was under watch by one name, and what it saw and heard in this step.
  struct Part {
    std::string name;
    bool reads = true;
    StreamWatch watch;
    std::vector<Token> tokens;  ///< of all its registrations: a stale one may still be reported
    std::vector<RawReady> seen;
    std::vector<std::string> delivered;
    long bytes = 0;         ///< read for the `readable` at the end of `told`
    bool reported = false;  ///< in this turn
    bool called = false;    ///< in this turn
    int futile = 0;         ///< turns in a row with a report for it, and nothing to tell
  };

  Part& part(Name name);
  void on_event(Part& part, const StreamEvent& event);
  void on_readable(Part& part);
  bool awaits(const std::vector<Delivers>& delivers);
  bool turn(std::chrono::nanoseconds timeout);

  PairKind kind_;
  std::map<std::string, support::Handle, std::less<>> handles_;
  NativeHandle number_of_local_;
  RawLog log_;
  Reactor reactor_;
  std::list<Part> parts_;
  bool news_ = false;  ///< this turn brought something that had not been seen or told before
  std::chrono::nanoseconds patience_ = std::chrono::seconds{10};
};

/// What a system call gave: the number, or the error's name ("EPIPE").
std::string outcome(long result);

}  // namespace pollux::scenarios
