// SPDX-License-Identifier: MIT
// The ways to run the loop: run, run_once, run_for, poll, stop and wake, from the loop's thread
// (loop_threads_test.cpp has other threads, loop_signals_test.cpp signal handlers). Goal: each does
// what its comment says, never returns early, and tells the same on every backend.
#include <algorithm>
#include <chrono>
#include <memory>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class TheLoop : public OnEachBackend {
 protected:
  /// A stream that is readable until it is drained.
  Pair readable_pair() {
    Pair pair = make_pair(cheapest_pair_kind());
    write_bytes(pair.peer, "abc");
    return pair;
  }
};

TEST_P(TheLoop, RunsOnTheBackendItWasMadeFor) {
  EXPECT_EQ(reactor().backend_name(), GetParam());
  const Reactor made{make_contestant(backend())};
  EXPECT_EQ(made.backend_name(), GetParam());
  EXPECT_EQ(made.backend_reports(), reactor().backend_reports());
}

TEST_P(TheLoop, PolledNeverWaits) {
  const Pair idle = make_pair(cheapest_pair_kind());
  Recorder local{reactor(), idle.local, Interest::readable};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(TheLoop, PolledCallsTheHandlersOfWhatIsReadyNow) {
  const Pair one = readable_pair();
  const Pair other = readable_pair();
  Recorder first{reactor(), one.local, Interest::readable};
  Recorder second{reactor(), other.local, Interest::readable};
  EXPECT_EQ(reactor().poll(), 2u);
  EXPECT_EQ(reactor().poll(), 2u);
}

TEST_P(TheLoop, RunOnceReturnsWhenAHandlerWasCalled) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().run_once(1h), 1u);
}

TEST_P(TheLoop, RunOnceNeverReturnsEarly) {
  const Pair idle = make_pair(cheapest_pair_kind());
  Recorder local{reactor(), idle.local, Interest::readable};
  for (const std::chrono::nanoseconds timeout :
       {1ns, 999ns, 1000ns, 100'000ns, 999'999ns, 1'000'000ns, 1'500'000ns, 3'000'001ns}) {
    for (int i = 0; i < 10; ++i) {
      const auto start = Clock::now();
      EXPECT_EQ(reactor().run_once(timeout), 0u);
      EXPECT_GE(Clock::now() - start, timeout);
    }
  }
}

TEST_P(TheLoop, RunOnceWithoutTimeIsAPoll) {
  for (const std::chrono::nanoseconds timeout : {0ns, -1ns, std::chrono::nanoseconds::min()})
    EXPECT_EQ(reactor().run_once(timeout), 0u);
}

TEST_P(TheLoop, RunOnceTakesTheLongestTimeoutThereIs) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_EQ(reactor().run_once(std::chrono::nanoseconds::max()), 1u);
  EXPECT_EQ(reactor().run_once(std::chrono::hours{24 * 365 * 200}), 1u);
  reactor().stop();
  EXPECT_EQ(reactor().run_for(std::chrono::nanoseconds::max()), 0u);
}

TEST_P(TheLoop, RunForRunsForAsLongAsItSays) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t most = 0;
  std::size_t all = 0;
  for (int i = 0; i < 100 && most <= 1; ++i) {  // there may be time for one on a busy machine
    const auto start = Clock::now();
    const std::size_t calls = reactor().run_for(5ms);
    EXPECT_GE(Clock::now() - start, 5ms);
    all += calls;
    EXPECT_EQ(all, local.events().size());
    most = std::max(most, calls);
  }
  EXPECT_GT(most, 1u);
}

TEST_P(TheLoop, RunsUntilAHandlerStopsIt) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    if (local.events().size() == 10) reactor().stop();
  });
  EXPECT_EQ(reactor().run(), 10u);
  EXPECT_GE(reactor().run_for(1ms), 1u);
}

TEST_P(TheLoop, StoppedBeforeItRunsReturnsAtOnceAndOnlyOnce) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  reactor().stop();
  reactor().stop();
  EXPECT_EQ(reactor().run(), 0u);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  reactor().stop();
  EXPECT_EQ(reactor().run_once(), 0u);
  reactor().stop();
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(reactor().poll(), 1u);
}

TEST_P(TheLoop, RunsAlsoIfNothingIsWatched) {
  const auto start = Clock::now();
  EXPECT_EQ(reactor().run_for(5ms), 0u);
  EXPECT_GE(Clock::now() - start, 5ms);
}

TEST_P(TheLoop, WokenBeforeItWaitsReturnsFromRunOnceAtOnce) {
  for (int i = 0; i < 3; ++i) {
    reactor().wake();
    reactor().wake();
    EXPECT_EQ(reactor().run_once(), 0u);
    // Calls fall together: nothing is left of the second.
    const auto start = Clock::now();
    EXPECT_EQ(reactor().run_once(2ms), 0u);
    EXPECT_GE(Clock::now() - start, 2ms);
  }
}

TEST_P(TheLoop, WokenByAHandlerReturnsFromTheNextRunOnce) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    reactor().wake();
    drain(pair.local);
  });
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().run_once(), 0u);
}

TEST_P(TheLoop, WokenRunsOnForAsLongAsItSays) {
  reactor().wake();
  const auto start = Clock::now();
  EXPECT_EQ(reactor().run_for(5ms), 0u);
  EXPECT_GE(Clock::now() - start, 5ms);
}

TEST_P(TheLoop, WokenReportsWhatElseIsReady) {
  const Pair pair = readable_pair();
  Recorder local{reactor(), pair.local, Interest::readable};
  reactor().wake();
  std::size_t calls = 0;
  for (int i = 0; i < 3; ++i) calls += reactor().run_once(5s);
  EXPECT_GE(calls, 2u);
}

TEST_P(TheLoop, WithABatchOfOneStarvesNobody) {
  for (const std::uint32_t batch : {0u, 1u, 3u}) {
    use({.event_batch = batch});
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<Recorder>> locals;
    for (int i = 0; i < 20; ++i) {
      pairs.push_back(readable_pair());
      locals.push_back(
          std::make_unique<Recorder>(reactor(), pairs.back().local, Interest::readable));
    }
    std::size_t most = 0;
    const auto all_were_called = [&](std::size_t times) {
      return std::all_of(locals.begin(), locals.end(), [&](const auto& local) {
        most = std::max(most, local->events().size());
        return local->events().size() >= times;
      });
    };
    EXPECT_TRUE(run_until(reactor(), [&] { return all_were_called(3); }));
    EXPECT_LE(most, 6u) << "some were heard much more often than others";
    // A wake-up does not starve either, nor does it starve the others.
    reactor().wake();
    EXPECT_TRUE(run_until(reactor(), [&] { return all_were_called(4); }));
  }
}

TEST_P(TheLoop, WithABatchOfOneIsStillWokenAndStopped) {
  use({.event_batch = 1});
  const Pair one = readable_pair();
  const Pair other = readable_pair();
  Recorder first{reactor(), one.local, Interest::readable};
  Recorder second{reactor(), other.local, Interest::readable};
  first.on_event([&](const StreamEvent&) { reactor().stop(); });
  EXPECT_GE(reactor().run(), 1u);
  EXPECT_EQ(first.events().size(), 1u);
}

POLLUX_ON_EACH_BACKEND(TheLoop);

}  // namespace
}  // namespace pollux::conformance
