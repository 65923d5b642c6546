// SPDX-License-Identifier: MIT
// run() ends when nothing is left that could ever call a handler, and not before. A test that waits
// for what does not come hangs, which ctest's time limit ends.
#include <chrono>
#include <optional>
#include <utility>

#include "conformance/kit/kit.hpp"
#include "conformance/support/latch.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class ARun : public OnEachBackend {};

TEST_P(ARun, WithNothingToDoReturnsAtOnce) {
  EXPECT_EQ(reactor().run(), 0u);
  EXPECT_EQ(reactor().run(), 0u);
}

TEST_P(ARun, EndsWithTheLastStream) {
  Pair pair = make_pair(PairKind::tcp4);
  const StreamWatch last = reactor().watch_stream(
      pair.local.get(), Interest::readable, [&](StreamWatch& watch, const StreamEvent& event) {
        if (event.readable()) drain(pair.local);
        if (event.end_of_stream()) watch.reset();
      });
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_GE(reactor().run(), 1u);
  EXPECT_FALSE(last);
}

TEST_P(ARun, GoesOnForAPausedStream) {
  const Pair pair = make_pair(PairKind::tcp4);
  StreamWatch paused =
      reactor().watch_stream(pair.local.get(), Interest::none, [](const StreamEvent&) {});
  const Timer timer = reactor().after(5ms, [&] { paused.reset(); });
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_FALSE(paused);
}

TEST_P(ARun, EndsWithTheLastTimerAlsoWhereTheLoopIsBusy) {
  // Long enough for the deadline to be given to the kernel, where there is a timer for that.
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  int calls = 0;
  Timer latest = reactor().after(1h, [] {});
  const Watch busy =
      reactor().watch(pair.local.get(), Interest::readable, [&](Watch& watch, Readiness) {
        if (++calls == 100) watch.reset();
      });
  const Timer soon = reactor().after(20ms, [&] { latest.cancel(); });
  EXPECT_EQ(reactor().run(), 101u);
}

TEST_P(ARun, EndsWhereTheLastTimerIsCancelledByAWatch) {
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  int calls = 0;
  Timer latest = reactor().after(1h, [] {});
  const Watch busy =
      reactor().watch(pair.local.get(), Interest::readable, [&](Watch& watch, Readiness) {
        if (++calls < 100) return;
        watch.reset();
        latest.reset();
      });
  EXPECT_EQ(reactor().run(), 100u);
}

TEST_P(ARun, EndsWithTheLastSignalWatch) {
  const int signal = signal_of_ours();
  const SignalWatch last =
      reactor().on_signal(signal, [](SignalWatch& watch, int) { watch.reset(); });
  Thread other{[signal] { raise_signal(signal); }};
  EXPECT_EQ(reactor().run(), 1u);
}

TEST_P(ARun, EndsWithTheLastChildAlthoughItsWatchIsThere) {
  const ChildProcess child{7};
  int code = 0;
  const ChildWatch watch =
      reactor().on_child_exit(child.pid(), [&](const ChildExit& exit) { code = exit.exit_code(); });
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(code, 7);
}

TEST_P(ARun, CallsWhatIsPostedUntilTheLastPosterIsGone) {
  constexpr int rounds = 50;
  for (int i = 0; i < rounds; ++i) {
    int calls = 0;
    Thread other{[&calls, poster = reactor().poster()]() mutable {
      const Poster copy = std::exchange(poster, {});
      for (int task = 0; task < 3; ++task) copy.post([&calls] { ++calls; });
    }};
    EXPECT_EQ(reactor().run(), 3u);
    EXPECT_EQ(calls, 3);
  }
}

TEST_P(ARun, IsWokenByTheLastPosterThatGoes) {
  for (int i = 0; i < 50; ++i) {
    Latch started{1};
    Thread other{[&started, poster = reactor().poster()]() mutable {
      started.wait();
      poster = {};
    }};
    started.count_down();
    EXPECT_EQ(reactor().run(), 0u);
  }
}

TEST_P(ARun, ThatIsForeverGoesOnWithNothingLeft) {
  std::optional<Poster> poster = reactor().poster();
  Thread other{[&] {
    poster.reset();
    reactor().post([&] { reactor().stop(); });
  }};
  EXPECT_EQ(reactor().run_forever(), 1u);
}

POLLUX_ON_EACH_BACKEND(ARun);

}  // namespace
}  // namespace pollux::conformance
