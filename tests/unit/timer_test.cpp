// SPDX-License-Identifier: MIT
// Timers and their handles, on a clock that stands still.
#include <pollux/timer.hpp>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/error.hpp>

#include "fake_reactor.hpp"

namespace pollux::support {

namespace {

using namespace std::chrono_literals;

TEST(ATimer, WithoutAHandlerCallsNothing) {
  FakeReactor on;
  Timer timer = on.reactor.after(1s, {});
  EXPECT_EQ(on.reactor.run_once(1s), 1u);
  EXPECT_FALSE(timer.armed());
  timer.restart();
  EXPECT_TRUE(timer.armed());
}

TEST(ATimer, ThatIsMadeUnarmedFiresOnceEachTimeItIsArmed) {
  FakeReactor on;
  Log log;
  Timer timer = on.reactor.timer([&] { log.push_back("fired"); });
  EXPECT_TRUE(timer);
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(on.reactor.run_for(1s), 0u);
  timer.restart(2s);
  EXPECT_EQ(on.reactor.run_for(10s), 1u);
  timer.restart_at(FakeClock::now() + 1s);
  EXPECT_EQ(on.reactor.run_for(10s), 1u);
  EXPECT_EQ(log.size(), 2u);
}

TEST(ATimer, ThatIsMadeUnarmedAndRestartedWithoutADelayIsDueNow) {
  FakeReactor on;
  Timer timer = on.reactor.timer([] {});
  timer.restart();
  EXPECT_EQ(on.reactor.poll(), 1u);
}

TEST(ATimer, MayBeTakenByItsHandler) {
  FakeReactor on;
  Log log;
  std::vector<Timer> timers;
  timers.push_back(on.reactor.every(1s, [&](Timer& timer) {
    log.push_back(timer.armed() ? "armed" : "not armed");
    if (log.size() == 2) timer.reset();
  }));
  timers.reserve(100);
  timers.push_back(on.reactor.after(500ms, [&](Timer& timer) {
    log.push_back("restarts");
    if (log.size() == 1) timer.restart(20s);
  }));
  EXPECT_EQ(on.reactor.run(), 3u);
  EXPECT_EQ(log, (Log{"restarts", "armed", "restarts"}));
}

TEST(ATimer, ThatItsHandlerHasEndedIsRefusedToItsOwner) {
  FakeReactor on;
  auto capture = std::make_shared<int>();
  Timer owner = on.reactor.after(1s, [capture](Timer& timer) { timer.reset(); });
  const Timer::time_point deadline = owner.deadline();
  EXPECT_EQ(on.reactor.run(), 1u);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_FALSE(owner);
  for (const Timer::time_point at : {deadline, Timer::time_point::min(), Timer::time_point::max()})
    EXPECT_EQ(thrown_by([&] { owner.restart_at(at); }), Errc::timer_closed);
  EXPECT_EQ(thrown_by([&] { owner.restart(1s); }), Errc::timer_closed);
  EXPECT_FALSE(owner.armed());
  Log log;
  const Timer next = on.reactor.after(1s, [&] { log.push_back("next"); });
  owner.reset();
  const Timer other = on.reactor.after(1s, [&] { log.push_back("other"); });
  EXPECT_EQ(on.reactor.run(), 2u);
  EXPECT_EQ(log, (Log{"next", "other"}));
}

TEST(ATimer, WhoseOwnerHasGoneInsideTheCallIsRefusedToItsHandler) {
  FakeReactor on;
  Timer owner;
  std::error_code error;
  bool counts_as_ended = false;
  owner = on.reactor.after(1s, [&](Timer& timer) {
    owner.reset();
    counts_as_ended = !timer;
    timer.restart(1s, error);
    timer.reset();
  });
  EXPECT_EQ(on.reactor.run(), 1u);
  EXPECT_TRUE(counts_as_ended);
  EXPECT_EQ(error, Errc::timer_closed);
}

TEST(TheTimeOfATurn, IsReadOnceATurnAndAnewInTheNext) {
  FakeReactor on;
  std::vector<Timer::time_point> times;
  const auto note = [&](Readiness) {
    times.push_back(on.reactor.turn_time());
    FakeClock::advance(1s);
    times.push_back(on.reactor.turn_time());
  };
  const Watch watch = on.reactor.watch(5, Interest::readable, note);
  on.fake.set_ready(5, RawReady::in);
  const Timer::time_point start = FakeClock::now();
  on.reactor.poll();
  on.reactor.poll();
  EXPECT_EQ(times, (std::vector{start, start, start + 1s, start + 1s}));
}

TEST(TheTimeOfATurn, IsTheTimeWhereNoHandlerIsRunning) {
  FakeReactor on;
  const Watch watch = on.reactor.watch(5, Interest::readable, [](Readiness) {});
  on.reactor.poll();
  EXPECT_EQ(on.reactor.turn_time(), FakeClock::now());
  FakeClock::advance(1s);
  EXPECT_EQ(on.reactor.turn_time(), FakeClock::now());
}

TEST(ATimer, WhoseDelayWasNegativeIsRestartedForNow) {
  FakeReactor on;
  Log log;
  const Timer::time_point start = FakeClock::now();
  Timer negative = on.reactor.after(-1h, [&] { log.push_back("negative"); });
  const Timer past = on.reactor.at(start - 1s, [&] { log.push_back("past"); });
  negative.restart();
  EXPECT_EQ(negative.deadline(), start);
  EXPECT_EQ(on.reactor.poll(), 2u);
  EXPECT_EQ(log, (Log{"past", "negative"}));
}

TEST(ATimer, ThatRepeatsKeepsItsPeriodWhateverItIsRestartedFor) {
  FakeReactor on;
  Log log;
  Timer timer = on.reactor.every(10s, [&] { log.push_back("tick"); });
  const Timer::time_point start = FakeClock::now();
  timer.restart(1s);
  EXPECT_EQ(timer.deadline(), start + 1s);
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(timer.deadline(), start + 11s);
  timer.cancel();
  timer.restart();
  EXPECT_EQ(timer.deadline(), start + 11s);
}

TEST(ATimer, ThatIsCancelledReportsNoDeadlineAndWakesNobody) {
  FakeReactor on;
  Timer timer = on.reactor.after(1s, [] {});
  timer.cancel();
  timer.cancel();
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(timer.deadline(), Timer::time_point::max());
  EXPECT_EQ(on.reactor.run_once(1h), 0u);
  EXPECT_EQ(on.fake.waits().size(), 1u);
}

TEST(Timers, ThatOwnOneAnotherEndWithTheReactor) {
  auto capture = std::make_shared<int>(0);
  auto first = std::make_shared<Timer>();
  auto second = std::make_shared<Timer>();
  {
    FakeReactor on;
    *first = on.reactor.after(1s, [capture, second] {});
    *second = on.reactor.after(2s, [capture, first] {});
    const Timer third = on.reactor.after(3s, [capture, first, second] {});
    first.reset();
    second.reset();
  }
  EXPECT_EQ(capture.use_count(), 1);
}

TEST(Timers, StayWhereTheyAreHoweverManyAHandlerMakes) {
  FakeReactor on;
  std::vector<Timer> many;
  auto capture = std::make_shared<int>(0);
  Timer first = on.reactor.after(1s, [&, owned = capture] {
    for (int i = 0; i < 2000; ++i) many.push_back(on.reactor.after(1s, [owned] {}));
    EXPECT_EQ(owned.use_count(), 2002);
    first.reset();
    EXPECT_EQ(owned.use_count(), 2002);
  });
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(capture.use_count(), 2001);
  EXPECT_EQ(on.reactor.run_once(), 2000u);
}

}  // namespace

}  // namespace pollux::support
