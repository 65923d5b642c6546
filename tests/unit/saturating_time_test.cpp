// SPDX-License-Identifier: MIT
// Arithmetic on times at their ends: all pairs of what lies there, against numbers of 128 bits; and
// timers that are due there.
#include <pollux/detail/saturating_time.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>
#include <pollux/embed/embedded_reactor.hpp>

#include "fake_reactor.hpp"

#if defined(__SIZEOF_INT128__)  // what is exact where 64 bits are not; not for 32-bit systems

namespace pollux::detail {

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

__extension__ using Wide = __int128;  // which -Wpedantic does not know

constexpr nanoseconds longest = nanoseconds::max();
constexpr nanoseconds shortest = nanoseconds::min();

/// What lies at the ends of what 64 bits hold, about nothing, and what clocks and people say.
std::vector<nanoseconds> edges() {
  std::vector<nanoseconds> edges;
  const nanoseconds bases[] = {shortest,
                               shortest / 2,
                               nanoseconds{std::numeric_limits<int>::min()},
                               -24h * 365 * 100,
                               -1h,
                               -1s,
                               0ns,
                               1ms,
                               1s,
                               nanoseconds{std::numeric_limits<int>::max()},
                               1h,
                               24h * 365 * 100,
                               24h * 365 * 200,
                               longest / 2,
                               longest};
  for (const nanoseconds base : bases) {
    for (const int by : {-2, -1, 0, 1, 2}) {
      const Wide near = Wide{base.count()} + by;
      if (near >= shortest.count() && near <= longest.count())
        edges.emplace_back(static_cast<nanoseconds::rep>(near));
    }
  }
  return edges;
}

nanoseconds saturated(Wide exact) {
  return nanoseconds{
      static_cast<nanoseconds::rep>(std::clamp<Wide>(exact, shortest.count(), longest.count()))};
}

TEST(ASaturatingSum, IsTheExactOneOrTheNearestThereIs) {
  for (const nanoseconds a : edges()) {
    for (const nanoseconds b : edges()) {
      const nanoseconds expected = saturated(Wide{a.count()} + b.count());
      ASSERT_EQ(saturating_sum(a, b), expected) << a.count() << " + " << b.count();
      ASSERT_EQ(later(TimePoint{a}, b), TimePoint{expected}) << a.count() << " + " << b.count();
    }
  }
}

TEST(TheTimeBetween, IsTheExactOneOrTheNearestThereIs) {
  for (const nanoseconds from : edges()) {
    for (const nanoseconds to : edges())
      ASSERT_EQ(between(TimePoint{from}, TimePoint{to}), saturated(Wide{to.count()} - from.count()))
          << from.count() << " to " << to.count();
  }
}

TEST(TheNextInStep, IsTheFirstMultipleThatIsYetToCome) {
  for (const nanoseconds due : edges()) {
    for (const nanoseconds now : edges()) {
      for (const nanoseconds period : edges()) {
        if (period <= nanoseconds::zero()) continue;
        const Wide since = std::max<Wide>(Wide{now.count()} - due.count(), 0);
        const Wide exact = due.count() + (since / period.count() + 1) * period.count();
        ASSERT_EQ(next_in_step(TimePoint{due}, TimePoint{now}, period), TimePoint{saturated(exact)})
            << due.count() << " at " << now.count() << " every " << period.count();
      }
    }
  }
}

/// As on a system whose time has 32 bits.
struct NarrowSpec {
  std::int32_t tv_sec;
  std::int32_t tv_nsec;
};
struct WideSpec {
  std::int64_t tv_sec;
  std::int64_t tv_nsec;
};

TEST(ATimespec, IsTheDurationOrClampedToWhatItsSecondsHold) {
  for (const nanoseconds duration : edges()) {
    const auto wide = to_timespec<WideSpec>(duration);
    EXPECT_EQ(Wide{wide.tv_sec} * 1'000'000'000 + wide.tv_nsec, Wide{duration.count()});
    const auto narrow = to_timespec<NarrowSpec>(duration);
    EXPECT_EQ(narrow.tv_sec, std::clamp<std::int64_t>(wide.tv_sec, INT32_MIN, INT32_MAX));
    EXPECT_EQ(narrow.tv_nsec, wide.tv_nsec);
    EXPECT_GE(narrow.tv_nsec, 0);
    EXPECT_LT(narrow.tv_nsec, 1'000'000'000);
  }
}

TEST(ATimeoutInMilliseconds, IsRoundedUpAndClamped) {
  for (const nanoseconds duration : edges()) {
    const Wide least = std::max<Wide>(duration.count(), 0);
    const Wide exact = std::min<Wide>((least + 999'999) / 1'000'000, INT_MAX);
    EXPECT_EQ(Timeout{duration}.poll_ms(), duration == longest ? -1 : static_cast<int>(exact));
  }
}

TEST(TheTimerOfAnotherLoop, BearsAnyTimeout) {
  for (const nanoseconds duration : edges()) {
    embed::detail::HostTimer timer;
    const bool never = duration >= longest - 24h * 365 * 100;  // no clock gets there
    if (!never) {
      EXPECT_TRUE(timer.is_to_be_set(Timeout{duration}));
    } else {
      static_cast<void>(timer.is_to_be_set(Timeout{duration}));
    }
  }
}

}  // namespace

}  // namespace pollux::detail

namespace pollux::support {

namespace {

constexpr auto beginning = Timer::time_point::min();
constexpr auto end = Timer::time_point::max();
constexpr auto longest = std::chrono::nanoseconds::max();
constexpr auto shortest = std::chrono::nanoseconds::min();
constexpr auto year = std::chrono::hours{24 * 365};

/// What the clock says at first: as ever, soon after boot, at boot, long before, and at its ends.
class TimersOnAClock : public testing::TestWithParam<Timer::time_point> {
 protected:
  TimersOnAClock() { FakeClock::set(GetParam()); }
  ~TimersOnAClock() override { FakeClock::set(Timer::time_point{1h}); }

  /// A handler that counts its calls.
  auto count() {
    return [this] { ++calls; };
  }

  const Timer::time_point start = GetParam();
  FakeReactor on;
  int calls = 0;
};

TEST_P(TimersOnAClock, AreDueNowIfTheirDeadlineIsPast) {
  const Timer timers[] = {
      on.reactor.after(shortest, count()),     on.reactor.after(-longest, count()),
      on.reactor.after(-1h, count()),          on.reactor.after(0ns, count()),
      on.reactor.at(beginning + 1ns, count()), on.reactor.at(beginning, count())};
  EXPECT_EQ(on.reactor.next_timeout(), 0ns);
  EXPECT_EQ(on.reactor.run_once(), 6u);
  EXPECT_EQ(calls, 6);
  EXPECT_EQ(FakeClock::now(), start);
  EXPECT_EQ(on.reactor.next_timeout(), std::nullopt);
}

TEST_P(TimersOnAClock, AreDueNowIfTheyAreRestartedForThePast) {
  Timer timer = on.reactor.after(1h, count());
  const std::chrono::nanoseconds delays[] = {shortest, shortest + 1ns, -longest, -1h, 0ns};
  for (const auto delay : delays) {
    timer.restart(delay);
    EXPECT_EQ(on.reactor.next_timeout(), 0ns);
    EXPECT_EQ(on.reactor.poll(), 1u);
  }
  for (const auto deadline : {beginning, beginning + 1ns, start - 1ns}) {
    timer.restart_at(std::min(deadline, start));
    EXPECT_EQ(on.reactor.poll(), 1u);
  }
  EXPECT_EQ(calls, 8);
}

TEST_P(TimersOnAClock, ThatRepeatGoOnInStepHoweverFarTheyFellBehind) {
  Timer timer = on.reactor.every(10s, count());
  timer.restart(shortest);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_GT(timer.deadline(), start);
  EXPECT_LE(timer.deadline(), detail::later(start, 10s));
  timer.restart_at(beginning);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_GT(timer.deadline(), start);
  EXPECT_LE(timer.deadline(), detail::later(start, 10s));
  const auto deadline = timer.deadline();
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(FakeClock::now(), deadline);
  EXPECT_EQ(timer.deadline(), detail::later(deadline, 10s));
}

TEST_P(TimersOnAClock, WaitForWhatIsYearsAhead) {
  const Timer timer = on.reactor.every(100 * year, count());
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(FakeClock::now(), start + 100 * year);
  EXPECT_EQ(timer.deadline(), detail::later(start, 200 * year));
}

TEST_P(TimersOnAClock, NeverFireAtTheClocksEnd) {
  const Timer timers[] = {on.reactor.after(longest, count()), on.reactor.at(end, count()),
                          on.reactor.every(longest, count())};
  EXPECT_EQ(on.reactor.run_for(100 * year), 0u);
}

TEST_P(TimersOnAClock, LeaveAWaitItsOwnEnd) {
  const Timer timer = on.reactor.at(end - 1ns, count());
  EXPECT_EQ(on.reactor.run_once(1ms), 0u);
  EXPECT_EQ(FakeClock::now(), start + 1ms);
  ASSERT_TRUE(on.reactor.next_timeout());
  EXPECT_GT(*on.reactor.next_timeout(), year);
}

TEST_P(TimersOnAClock, BearThatTheClockIsSetBack) {
  const Timer timer = on.reactor.every(1min, count());
  Timer once = on.reactor.after(2h, count());
  EXPECT_EQ(on.reactor.run_for(30min), 30u);
  FakeClock::advance(-1h);
  const Timer soon = on.reactor.after(1s, count());
  EXPECT_EQ(on.reactor.run_for(1min), 1u);
  EXPECT_FALSE(soon.armed());
  EXPECT_EQ(timer.deadline(), start + 31min);
  EXPECT_EQ(once.deadline(), start + 2h);
  EXPECT_EQ(on.reactor.run_for(1h), 1u) << "the deadlines are as they were";
}

TEST_P(TimersOnAClock, BearThatTheClockIsSetForward) {
  const Timer timer = on.reactor.every(1min, count());
  const Timer once = on.reactor.after(2h, count());
  FakeClock::advance(100 * year + 30s);
  EXPECT_EQ(on.reactor.poll(), 2u);
  EXPECT_EQ(timer.deadline(), start + 100 * year + 1min);
  EXPECT_EQ(on.reactor.run_for(10min), 10u);
}

INSTANTIATE_TEST_SUITE_P(, TimersOnAClock,
                         testing::Values(Timer::time_point{1h}, Timer::time_point{1s},
                                         Timer::time_point{}, Timer::time_point{-1ns},
                                         Timer::time_point{-24h}, Timer::time_point{-50 * year},
                                         beginning + 2h));

TEST(ALook, IsNeverPutOffBeyondTheClocksEnd) {
  FakeReactor on{RawReady::in | RawReady::out,
                 false,
                 {.probe_interval_min = 100 * year, .probe_interval_max = longest}};
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "readable");
  on.fake.fail(Operation::change, std::errc::not_enough_memory, 1, 3);
  watch.set_interest(Interest::writable);
  EXPECT_EQ(on.reactor.run_for(year), 0u);
}

}  // namespace

}  // namespace pollux::support

#endif
