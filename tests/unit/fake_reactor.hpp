// SPDX-License-Identifier: MIT
// A reactor on the fake backend and its clock, for the tests of the core.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/pollux.hpp>

#include "support/fake_backend.hpp"

namespace pollux::support {

using namespace std::chrono_literals;
using Operation = FakeBackend::Operation;

/// What was reported, in order, in the words of the test.
using Log = std::vector<std::string>;

struct FakeReactor {
  explicit FakeReactor(ReactorOptions options = {})
      : FakeReactor{FakeBackend::native, true, options} {}
  FakeReactor(RawReady reports, bool edges, ReactorOptions options = {})
      : FakeReactor{std::make_unique<FakeBackend>(reports, edges), options} {}
  ~FakeReactor() { EXPECT_EQ(fake.complaints(), std::vector<std::string>{}); }

  /// A readiness watch that writes down `name` each time it is called.
  Watch watch(NativeHandle handle, Interest interest, Log& log, const std::string& name) {
    return reactor.watch(handle, interest, [&log, name](Readiness) { log.push_back(name); });
  }
  /// A stream watch that writes down what it is told.
  StreamWatch watch_stream(NativeHandle handle, Interest interest, Log& log) {
    return reactor.watch_stream(
        handle, interest, [&log](const StreamEvent& event) { log.push_back(to_string(event)); });
  }

  FakeBackend& fake;  ///< lives as long as the reactor
  Reactor reactor;

 private:
  FakeReactor(std::unique_ptr<FakeBackend> backend, ReactorOptions options)
      : fake{*backend}, reactor{std::move(backend), with_clock(options)} {}

  static ReactorOptions with_clock(ReactorOptions options) {
    options.clock = &FakeClock::now;
    return options;
  }
};

/// What is thrown by a call that must not succeed.
template <class Call>
std::error_code thrown_by(Call call) {
  try {
    call();
  } catch (const std::system_error& failure) {
    return failure.code();
  }
  return {};
}

}  // namespace pollux::support
