// SPDX-License-Identifier: MIT
// What no kernel call can wait for: it is asked about again, less and less often, and by no timer
// when nobody needs one. The streams are real, what the kernel is said to report about them is not.
#include <gtest/gtest.h>
#include <pollux/reactor.hpp>

#include "conformance/support/system.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

using Intervals = std::vector<std::chrono::nanoseconds>;

Intervals timeouts(const FakeBackend& fake) {
  Intervals all;
  for (const Timeout& timeout : fake.waits()) all.push_back(timeout.duration());
  return all;
}

/// A paused stream that wants to learn of its peer's FIN, behind a byte that nobody reads, on a
/// backend that is not told of it.
struct HiddenFin {
  explicit HiddenFin(ReactorOptions options = {}) : on{FakeBackend::emulated, false, options} {
    write_bytes(pair.peer, "x");
    watch = on.watch_stream(pair.local.get(), Interest::peer_closed, log);
    on.fake.set_ready(pair.local.get(), RawReady::in);
  }

  /// The peer's FIN has arrived when this returns.
  void close_peer() {
    shutdown_write(pair.peer);
    Reactor other;
    StreamWatch look = other.watch_stream(pair.local.get(), Interest::peer_closed, [](auto&&) {});
    ASSERT_EQ(other.run_once(5s), 1u);
  }

  /// Between the looks: each asks the kernel for the hint again.
  Intervals intervals() const {
    Intervals between;
    auto last = on.fake.calls().front().when;
    for (const FakeCall& call : on.fake.calls()) {
      if (call.to != RawInterest::in || call.when == last) continue;
      between.push_back(call.when - std::exchange(last, call.when));
    }
    return between;
  }

  Pair pair = make_pair(PairKind::tcp4);
  Log log;
  FakeReactor on;
  StreamWatch watch;
};

/// Wine shows no FIN behind unread bytes: there the test cannot be played, and says so.
bool unread_bytes_hide_fin() {
  if (!system_facts().unread_bytes_hide_fin) return false;
  testing::Test::RecordProperty("not_played",
                                "a FIN behind unread bytes, which Wine does not show");
  return true;
}

TEST(ARetry, BacksOffFromOneMillisecondToAHundred) {
  HiddenFin stream;
  stream.on.reactor.run_for(400ms);
  EXPECT_EQ(stream.intervals(), (Intervals{1ms, 2ms, 4ms, 8ms, 16ms, 32ms, 64ms, 100ms, 100ms}));
  EXPECT_EQ(stream.log, Log{});
}

TEST(ARetry, FindsAFinThatNobodyReports) {
  if (unread_bytes_hide_fin()) return;
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.close_peer();
  stream.on.reactor.run_for(100ms);
  EXPECT_EQ(stream.log, Log{"peer_closed"});
}

TEST(ARetry, FindsAFinAlsoInsideAnotherLoop) {
  if (unread_bytes_hide_fin()) return;
  HiddenFin stream;
  Reactor& reactor = stream.on.reactor;
  const auto turn = [&] {
    FakeClock::advance(reactor.prepare().value_or(1h));
    if (reactor.check()) reactor.dispatch();
  };
  for (int i = 0; i < 10; ++i) turn();
  stream.close_peer();
  for (int i = 0; i < 10; ++i) turn();
  EXPECT_EQ(stream.log, Log{"peer_closed"});
}

TEST(ARetry, IsOverWhenThereIsNothingLeftToFind) {
  if (unread_bytes_hide_fin()) return;
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.close_peer();
  stream.on.reactor.run_for(100ms);
  ASSERT_EQ(stream.log, Log{"peer_closed"});
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(timeouts(stream.on.fake), Intervals{1h});
}

TEST(ARetry, IsOverWhenNobodyAsksAnyMore) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.watch.set_interest(Interest::none);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(timeouts(stream.on.fake), Intervals{1h});
}

TEST(ARetry, IsOverWhenTheWatchHasEnded) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.watch.reset();
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(timeouts(stream.on.fake), Intervals{1h});
}

TEST(ARetry, IsOverAfterHangup) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  reset_connection(stream.pair.peer);
  stream.on.fake.set_ready(stream.pair.local.get(), RawReady::in | RawReady::err | RawReady::hup);
  EXPECT_EQ(stream.on.reactor.run_once(100ms), 1u);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(timeouts(stream.on.fake), Intervals{1h});
}

TEST(ARetry, IsOverWhenTheDescriptorWasClosed) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.on.fake.close(stream.pair.local.get());
  stream.on.fake.report({99, 99}, RawReady::in);  // stale: each registration is checked
  stream.on.reactor.poll();
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(timeouts(stream.on.fake), Intervals{1h});
}

TEST(ARetry, DoesNotOutlastADeadline) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  const auto start = FakeClock::now();
  stream.on.reactor.run_once(1ms);
  EXPECT_EQ(FakeClock::now() - start, 1ms);
}

TEST(ARetry, IsOneTimerAWatchAlsoWhereAChangeFails) {
  HiddenFin stream;
  stream.on.fake.fail(Operation::change, std::errc::not_enough_memory);
  for (int i = 0; i < 20; ++i) {
    stream.on.reactor.poll();  // the hint is up for as long as the kernel does not take the change
    FakeClock::advance(1ms);
  }
  stream.on.reactor.run_for(1s);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1s);
  EXPECT_LE(stream.on.fake.waits().size(), 22u);
}

TEST(ARetry, IsOneTimerAWatchHoweverOftenItsInterestChanges) {
  HiddenFin stream;
  for (int i = 0; i < 50; ++i) {
    stream.watch.set_interest(Interest::peer_closed | Interest::writable);
    stream.on.reactor.run_for(300us);
    stream.watch.set_interest(Interest::peer_closed);
    stream.on.reactor.run_for(300us);
  }
  stream.on.reactor.run_for(1s);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(1s);
  // Ten looks, each with the wait before it and the wait that brings the hint.
  EXPECT_LE(stream.on.fake.waits().size(), 22u);
}

TEST(ARetry, StartsAnewWithEachChangeOfInterest) {
  HiddenFin stream;
  stream.on.reactor.run_for(500ms);
  stream.watch.set_interest(Interest::peer_closed);
  stream.on.fake.forget_calls();
  stream.on.reactor.run_for(8ms);
  EXPECT_EQ(stream.intervals(), (Intervals{1ms, 2ms, 4ms}));
}

TEST(ARetry, TakesItsIntervalsFromTheOptions) {
  HiddenFin stream{{.probe_interval_min = 10ms, .probe_interval_max = 30ms}};
  stream.on.reactor.run_for(150ms);
  EXPECT_EQ(stream.intervals(), (Intervals{10ms, 20ms, 30ms, 30ms, 30ms}));
}

TEST(ARetry, IsAtEveryTurnWithIntervalsOfZero) {
  if (unread_bytes_hide_fin()) return;
  HiddenFin stream{{.probe_interval_min = 0ns, .probe_interval_max = 0ns}};
  for (int i = 0; i < 10; ++i) stream.on.reactor.poll();
  stream.close_peer();
  stream.on.reactor.poll();
  stream.on.reactor.poll();
  EXPECT_EQ(stream.log, Log{"peer_closed"});
}

/// A stream on which the kernel keeps an error bit up that is no failure: a notice in the error
/// queue.
struct ErrorNotice {
  explicit ErrorNotice(bool edges) : on{FakeBackend::native, edges} {
    watch = on.watch_stream(handle, Interest::readable, log);
    on.fake.set_ready(handle, RawReady::err);
    // The core's own set of edges cannot be watched: as on a system that has none.
    if (!edges) on.fake.fail(Operation::add, std::errc::no_space_on_device);
  }

  Pair pair = make_pair(cheapest_pair_kind());
  NativeHandle handle = pair.local.get();
  Log log;
  FakeReactor on;
  StreamWatch watch;
  static constexpr RawInterest level = RawInterest::in | RawInterest::rdhup;
};

TEST(Edges, MaskABitThatStaysUpWithoutAnyTimer) {
  ErrorNotice stream{true};
  stream.on.reactor.run_for(1h);
  EXPECT_EQ(stream.on.fake.interest(stream.handle), stream.level | RawInterest::edge);
  EXPECT_LE(stream.on.fake.waits().size(), 3u) << "once as a level, once as an edge, and then rest";
  for (const auto timeout : timeouts(stream.on.fake)) EXPECT_EQ(timeout, 1h);
}

TEST(Edges, GiveWayToLevelsWhenSomethingHappens) {
  ErrorNotice stream{true};
  stream.on.reactor.poll();
  stream.on.reactor.poll();
  write_bytes(stream.pair.peer, "x");
  stream.on.fake.set_ready(stream.handle, RawReady::in | RawReady::err);
  stream.on.reactor.poll();
  EXPECT_EQ(stream.log, Log{"readable"});
  stream.on.reactor.poll();
  EXPECT_EQ(stream.log, (Log{"readable", "readable"}));
  EXPECT_EQ(stream.on.fake.interest(stream.handle), stream.level);
  drain(stream.pair.local);
  stream.on.fake.set_ready(stream.handle, RawReady::err);
  stream.on.reactor.poll();
  stream.on.reactor.poll();
  EXPECT_EQ(stream.on.fake.interest(stream.handle), stream.level | RawInterest::edge);
  EXPECT_EQ(stream.log, (Log{"readable", "readable"}));
}

TEST(Edges, WhereThereAreNoneTheWatchLeavesTheSetAndIsLookedAtAgain) {
  ErrorNotice stream{false};
  stream.on.reactor.poll();
  EXPECT_EQ(stream.on.fake.interest(stream.handle), stream.level);
  stream.on.fake.interrupt();
  stream.on.reactor.poll();
  EXPECT_EQ(stream.on.fake.interest(stream.handle), RawInterest::none);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(10s);
  EXPECT_LE(stream.on.fake.waits().size(), 2 * (100u + 8)) << "a wait to the look, and one with it";

  write_bytes(stream.pair.peer, "x");
  stream.on.fake.set_ready(stream.handle, RawReady::in | RawReady::err);
  EXPECT_EQ(stream.on.reactor.run_once(100ms), 1u);
  EXPECT_EQ(stream.log, Log{"readable"});
}

TEST(Edges, WhereThereAreNoneEachEventMakesTheLooksFrequentAgain) {
  ErrorNotice stream{false};
  stream.on.reactor.run_for(500ms);
  write_bytes(stream.pair.peer, "x");
  stream.on.fake.set_ready(stream.handle, RawReady::in | RawReady::err);
  ASSERT_EQ(stream.on.reactor.run_once(100ms), 1u);
  drain(stream.pair.local);
  stream.on.fake.set_ready(stream.handle, RawReady::err);
  stream.on.fake.forget_waits();
  stream.on.reactor.run_for(2ms);
  EXPECT_EQ(timeouts(stream.on.fake), (Intervals{2ms, 1ms, 1ms, 1ms}))
      << "told, left alone for a millisecond, told again, left alone to the end";
}

TEST(Edges, AreAskedForOnlyOnceWhereThereAreNone) {
  ErrorNotice stream{false};
  stream.on.reactor.run_for(1s);
  int asked = 0;
  for (const FakeCall& call : stream.on.fake.calls())
    asked += any(call.to, RawInterest::edge) ? 1 : 0;
  EXPECT_EQ(asked, 1);
}

TEST(Edges, WhereThereAreNoneARefusedChangeLeavesTheLookToCome) {
  ErrorNotice stream{false};
  stream.on.reactor.run_for(50ms);
  ASSERT_EQ(stream.on.fake.interest(stream.handle), RawInterest::none);
  stream.on.fake.fail(Operation::add, std::errc::not_enough_memory);
  std::error_code error;
  stream.watch.set_interest(Interest::readable | Interest::writable, error);
  ASSERT_EQ(error, std::errc::not_enough_memory);
  write_bytes(stream.pair.peer, "x");
  stream.on.fake.set_ready(stream.handle, RawReady::in | RawReady::err);
  EXPECT_EQ(stream.on.reactor.run_once(100ms), 1u) << "it is still out of the set, and unheard";
}

}  // namespace

}  // namespace pollux::support
