// SPDX-License-Identifier: MIT
// What a workload is told to do by: how often, and when the clock runs. Google Benchmark's state is
// one; a cell of scripts/bench and a counted section are others.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "io.hpp"

namespace pollux::bench {

class Meter {
 public:
  Meter() = default;
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;
  virtual ~Meter() = default;

  /// Whether to do another operation, or `count` of them, always as many. The clock starts with the
  /// first call and stops with the one that says no; so do all after that, from handlers that the
  /// loop had yet to call.
  bool more(std::uint64_t count = 1) {
    if (left_ < count) return next_unless_over(count);
    left_ -= count;
    return true;
  }

  /// The clock, and the counting of calls, stop and go on: for what has to be set up anew.
  virtual void pause() = 0;
  virtual void resume() = 0;

  /// What an operation took, for rows that time by hand.
  virtual void took(std::chrono::nanoseconds time) = 0;
  /// Something else that was measured.
  virtual void report(const std::string& name, double value) = 0;

  /// Whoever has more time than most: a tracer is looking on, and each system call is slow.
  virtual bool unhurried() const { return false; }

  /// From now on until the end of the loop its own count of system calls is taken, if it has one.
  template <class L>
  void counts(const L& loop) {
    if constexpr (requires { loop.system_calls(); }) {
      loop_ = &loop;
      loop_calls_ = [](const void* counted) {
        return static_cast<const L*>(counted)->system_calls();
      };
    }
  }

 protected:
  virtual bool next(std::uint64_t count) = 0;

  bool counts_calls() const { return loop_ != nullptr; }
  /// The workload's and the loop's.
  std::uint64_t calls() const { return own_calls + (loop_ != nullptr ? loop_calls_(loop_) : 0); }

  std::uint64_t left_ = 0;

 private:
  bool next_unless_over(std::uint64_t count) {
    over_ = over_ || !next(count);
    return !over_;
  }

  bool over_ = false;
  const void* loop_ = nullptr;
  std::uint64_t (*loop_calls_)(const void*) = nullptr;
};

}  // namespace pollux::bench
