// SPDX-License-Identifier: MIT
// A backend without a kernel: the test says what is ready, what fails and when, and reads what was
// asked of it. Time is its own, and passes only while it waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/detail/saturating_time.hpp>

namespace pollux::support {

/// For ReactorOptions::clock. One for the whole process; tests look at differences only.
class FakeClock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static time_point now() noexcept { return now_; }
  static void advance(std::chrono::nanoseconds by) noexcept { now_ = detail::later(now_, by); }
  static void set(time_point now) noexcept { now_ = now; }

 private:
  inline static time_point now_{std::chrono::hours{1}};
};

/// One call of set_interest() and its answer.
struct FakeCall {
  FakeClock::time_point when;
  NativeHandle handle;
  RawInterest from;
  RawInterest to;
  Token token;
  std::error_code answer;
};

/// Level-triggered, and with edges if it is made so. Hang-up and error are reported unasked. It
/// holds its caller to the contract of backend.hpp: see complaints().
class FakeBackend final : public Backend {
 public:
  /// What can be told to fail. To ask is to change to what holds already.
  enum class Operation { add, change, remove, ask, wait, reset };

  static constexpr RawReady native =
      RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;
  static constexpr RawReady emulated = RawReady::in | RawReady::out | RawReady::err;

  explicit FakeBackend(RawReady reports = native, bool edges = true)
      : reports_{reports}, edges_{edges} {}

  // The script.

  /// From now on `ready` is true for `handle`: a new edge, if it is any.
  void set_ready(NativeHandle handle, RawReady ready);
  /// Reported by the next wait whatever is registered, once. `error` comes with it.
  void report(Token token, RawReady ready, int error = 0) {
    extra_.push_back({token, ready, error});
  }
  /// Done by the wait that lasts until then, `delay` from now.
  void after(std::chrono::nanoseconds delay, std::function<void()> action);
  /// Makes the wait that is running, or else the next one, come back with nothing, as a signal
  /// does.
  void interrupt() { ++interrupts_; }
  /// From the `nth` call on, so many `times` in a row, it fails.
  void fail(Operation operation, std::errc error, int nth = 1, int times = 1) {
    failures_[operation] = {system_error_code(error), nth, times};
  }
  /// The owner closes a registered handle: the registration goes with it, and no call can reach it.
  void close(NativeHandle handle) { close(handle, false); }
  /// The same with a duplicate alive: no call reaches the registration, but it goes on reporting
  /// what is ready now, until reset().
  void close_but_keep_duplicate(NativeHandle handle) { close(handle, true); }

  // What has been asked.

  static Operation operation(RawInterest from, RawInterest to);

  const std::vector<FakeCall>& calls() const { return calls_; }
  /// How many of those calls were of that kind.
  int count(Operation operation) const;
  void forget_calls() { calls_.clear(); }
  /// The timeouts of all waits.
  const std::vector<Timeout>& waits() const { return waits_; }
  void forget_waits() { waits_.clear(); }
  int resets() const { return resets_; }
  /// How many calls have failed as they were told to.
  int failures() const { return failed_; }
  /// What the kernel would have of that handle now; none if nothing.
  RawInterest interest(NativeHandle handle) const;
  /// What the core has done against the contract.
  const std::vector<std::string>& complaints() const { return complaints_; }

  std::string_view name() const noexcept override { return "fake"; }
  RawReady reports() const noexcept override { return reports_; }
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override;
  /// A wait without a timeout in which nothing can happen any more fails with
  /// `resource_deadlock_would_occur`: no test hangs.
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override;
  void wake() noexcept override { woken_ = true; }
  std::error_code reset() override;

 private:
  struct Registration {
    NativeHandle handle;
    Token token;
    RawInterest interest;
    RawReady ready = RawReady::none;  ///< of a closed one, what its duplicate has
    bool closed = false;
    bool news = true;  ///< something has happened since it was reported
  };
  struct Failure {
    std::error_code error;
    int calls_left = 0;  ///< up to the first that fails
    int times = 0;
  };
  struct Action {
    FakeClock::time_point when;
    std::function<void()> run;
  };

  std::error_code failure_of(Operation operation);
  Registration* find(NativeHandle handle);
  void close(NativeHandle handle, bool keep_duplicate);
  void forget(const Registration* registration);
  void complain_about(const FakeCall& call);
  std::error_code answer(const FakeCall& call);
  RawReady received(const Registration& registration) const;
  std::uint32_t collect(std::span<RawEvent> out);
  void act_until(FakeClock::time_point now);
  FakeClock::time_point next_action() const;

  RawReady reports_;
  bool edges_;
  std::vector<Registration> registrations_;
  std::size_t next_ = 0;  ///< where the next wait begins, so that a short span starves nobody
  std::map<NativeHandle, RawReady> ready_;
  std::vector<RawEvent> extra_;
  std::vector<Action> actions_;
  std::map<Operation, Failure> failures_;
  int failed_ = 0;
  int interrupts_ = 0;
  std::atomic<bool> woken_{false};

  std::vector<FakeCall> calls_;
  std::vector<Timeout> waits_;
  int resets_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace pollux::support
