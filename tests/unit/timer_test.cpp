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

TEST(ATimer, ThatIsCancelledTellsNoDeadlineAndWakesNobody) {
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
