// SPDX-License-Identifier: MIT
// The wheel against a sorted list, over years of its time.
#include "timers/timer_queue.hpp"

#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pollux::detail {

namespace {

using namespace std::chrono_literals;
using time_point = TimerQueue::time_point;

time_point at(std::chrono::nanoseconds since) {
  return time_point{since};
}

/// What fires at `now`, in order.
std::vector<std::uint32_t> fired(TimerQueue& queue, time_point now) {
  std::vector<std::uint32_t> all;
  queue.collect(now);
  for (std::uint32_t index; (index = queue.next_due()) != no_slot;) all.push_back(index);
  return all;
}

using Indices = std::vector<std::uint32_t>;

class ATimerQueue : public testing::Test {
 protected:
  std::uint32_t armed(time_point deadline) {
    const std::uint32_t index = queue.acquire();
    queue.arm(index, deadline);
    return index;
  }

  TimerQueue queue;
};

TEST_F(ATimerQueue, WithoutTimersWaitsForNothing) {
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next(), TimerQueue::never);
  EXPECT_EQ(fired(queue, at(1h)), Indices{});
}

TEST_F(ATimerQueue, FiresAtTheNanosecondAndNotBefore) {
  const auto index = armed(at(1h + 1ns));
  EXPECT_EQ(queue.next(), at(1h + 1ns));
  EXPECT_EQ(fired(queue, at(1h)), Indices{});
  EXPECT_EQ(queue.next(), at(1h + 1ns));
  EXPECT_EQ(fired(queue, at(1h + 1ns)), Indices{index});
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next(), TimerQueue::never);
}

TEST_F(ATimerQueue, FiresEqualDeadlinesInTheOrderOfArming) {
  const auto first = armed(at(5s));
  const auto second = armed(at(5s));
  const auto third = armed(at(5s));
  queue.arm(first, at(5s));  // and armed anew is armed last
  EXPECT_EQ(fired(queue, at(5s)), (Indices{second, third, first}));
}

TEST_F(ATimerQueue, FiresWhatIsLongPastAtOnce) {
  EXPECT_EQ(fired(queue, at(100h)), Indices{});
  const auto index = armed(at(-1h));
  EXPECT_LE(queue.next(), at(100h));
  EXPECT_EQ(fired(queue, at(100h)), Indices{index});
}

TEST_F(ATimerQueue, NeverFiresWhatIsArmedForTheEndOfTime) {
  armed(TimerQueue::never);
  EXPECT_EQ(queue.next(), TimerQueue::never);
  EXPECT_EQ(fired(queue, at(24h * 365 * 200)), Indices{});
}

TEST_F(ATimerQueue, DoesNotFireWhatACallOfTheSameTurnCancelsOrPutsOff) {
  const auto first = armed(at(1s));
  const auto second = armed(at(2s));
  const auto third = armed(at(3s));
  queue.collect(at(4s));
  EXPECT_EQ(queue.next_due(), first);
  queue.disarm(second);
  queue.arm(third, at(10s));
  EXPECT_EQ(queue.next_due(), no_slot);
  EXPECT_EQ(queue.next(), at(10s));
  EXPECT_EQ(fired(queue, at(10s)), Indices{third});
}

TEST_F(ATimerQueue, KeepsWhatWasCollectedAndNotTakenForTheNextTime) {
  const auto first = armed(at(1s));
  const auto second = armed(at(2s));
  queue.collect(at(2s));
  EXPECT_EQ(queue.next_due(), first);
  EXPECT_EQ(queue.next(), time_point::min());
  const auto earlier = armed(at(1s));
  EXPECT_EQ(fired(queue, at(3s)), (Indices{earlier, second}));
}

TEST_F(ATimerQueue, ForgetsWhatIsReleasedWhileDue) {
  const auto first = armed(at(1s));
  const auto second = armed(at(2s));
  queue.collect(at(2s));
  EXPECT_EQ(queue.next_due(), first);
  queue.release(second);
  EXPECT_EQ(armed(at(1h)), second);  // the slot of another now
  EXPECT_EQ(queue.next_due(), no_slot);
}

TEST_F(ATimerQueue, KeepsACancelledTimerOutOfTheWayUntilItIsArmedAgain) {
  const auto cancelled = armed(at(1s));
  const auto later = armed(at(1h));
  queue.disarm(cancelled);
  EXPECT_EQ(queue.next(), at(1h));
  queue.arm(cancelled, at(2h));  // where it hangs, and then where it does not
  EXPECT_EQ(queue.next(), at(1h));
  queue.arm(cancelled, at(1min));
  EXPECT_EQ(queue.next(), at(1min));
  EXPECT_EQ(fired(queue, at(1h)), (Indices{cancelled, later}));
}

TEST_F(ATimerQueue, SaysThatATimerIsSoonerThanAllOthersAlsoWhereEarlierOnesAreNoLongerArmed) {
  EXPECT_TRUE(queue.is_sooner(at(1h)));
  const auto cancelled = armed(at(1s));
  EXPECT_FALSE(queue.is_sooner(at(1s)));
  EXPECT_TRUE(queue.is_sooner(at(1s - 1ns)));
  queue.disarm(cancelled);
  EXPECT_TRUE(queue.is_sooner(at(1h)));
  const auto called = armed(at(2s));
  EXPECT_FALSE(queue.is_sooner(at(1h)));
  EXPECT_EQ(fired(queue, at(3s)), Indices{called});
  EXPECT_TRUE(queue.is_sooner(at(1h)));
  queue.arm(cancelled, at(1min));
  queue.arm(called, at(1h));
  queue.disarm(cancelled);
  EXPECT_EQ(queue.next(), at(1h));
  EXPECT_TRUE(queue.is_sooner(at(1min)));
}

TEST_F(ATimerQueue, ForgetsWhatIsReleasedWhereItHangsAfterBeingCancelled) {
  const auto first = armed(at(1s));
  const auto second = armed(at(1s + 1ns));
  const auto third = armed(at(1s + 2ns));
  queue.disarm(second);
  queue.release(second);
  EXPECT_EQ(armed(at(1h)), second);  // the slot of another now
  EXPECT_EQ(fired(queue, at(1min)), (Indices{first, third}));
  EXPECT_EQ(fired(queue, at(1h)), Indices{second});
}

TEST_F(ATimerQueue, NeverFiresWhatWasDueAndIsPutOffToTheEndOfTime) {
  const auto first = armed(at(1s));
  const auto second = armed(at(1s));
  queue.collect(at(1s));
  EXPECT_EQ(queue.next_due(), first);
  queue.arm(second, TimerQueue::never);
  EXPECT_EQ(queue.next_due(), no_slot);
  EXPECT_EQ(fired(queue, at(24h * 365 * 200)), Indices{});
  queue.arm(second, at(24h * 365 * 201));
  EXPECT_EQ(fired(queue, at(24h * 365 * 201)), Indices{second});
}

TEST_F(ATimerQueue, DoesNotSearchACrowdToSayWhenItIsNeededNext) {
  const auto first = armed(at(1h - 1ns));
  for (int i = 0; i < 1000; ++i) armed(at(1h + std::chrono::microseconds{i}));
  EXPECT_EQ(queue.next(), at(1h - 1ns));
  queue.disarm(first);  // that it is gone is all that is known now
  EXPECT_LT(queue.next(), at(1h - 1ns));
  EXPECT_GT(queue.next(), at(59min));
  // Time comes to the crowd, which spreads; in the end the nanosecond counts.
  int wakes = 0;
  while (queue.next() < at(1h) && wakes <= 8) {
    EXPECT_EQ(fired(queue, queue.next()), Indices{});
    ++wakes;
  }
  EXPECT_LE(wakes, 8);
  EXPECT_EQ(queue.next(), at(1h));
}

/// A sorted list: slow, and right.
class Reference {
 public:
  void arm(std::uint32_t index, time_point deadline) {
    disarm(index);
    keys_[index] = {deadline, ++orders_};
    sorted_.insert({keys_[index], index});
  }
  void disarm(std::uint32_t index) {
    const auto found = keys_.find(index);
    if (found == keys_.end()) return;
    sorted_.erase({found->second, index});
    keys_.erase(found);
  }
  bool empty() const { return sorted_.empty(); }
  time_point next() const {
    return sorted_.empty() ? TimerQueue::never : sorted_.begin()->first.first;
  }
  Indices fired(time_point now, std::size_t most = no_slot) {
    Indices all;
    while (!sorted_.empty() && sorted_.begin()->first.first <= now && all.size() < most) {
      all.push_back(sorted_.begin()->second);
      disarm(sorted_.begin()->second);
    }
    return all;
  }

 private:
  using Key = std::pair<time_point, std::uint64_t>;
  std::map<std::uint32_t, Key> keys_;
  std::set<std::pair<Key, std::uint32_t>> sorted_;
  std::uint64_t orders_ = 0;
};

/// Spans from a nanosecond to a year, each power of two as likely as another.
std::chrono::nanoseconds some_span(std::mt19937_64& dice) {
  const std::uint64_t bits = dice() % 55;
  return std::chrono::nanoseconds{static_cast<std::int64_t>(dice() >> (63 - bits))};
}

class AgainstASortedList : public testing::TestWithParam<unsigned> {};

TEST_P(AgainstASortedList, FiresTheSameInTheSameOrderNeverEarlyAndIsNeverAwaitedTooLate) {
  std::mt19937_64 dice{GetParam()};
  const std::uint32_t timers = 1 + static_cast<std::uint32_t>(dice() % 300);
  TimerQueue queue;
  Reference reference;
  for (std::uint32_t i = 0; i < timers; ++i) EXPECT_EQ(queue.acquire(), i);
  time_point now = at(1h);
  for (int step = 0; step < 20'000; ++step) {
    const auto index = static_cast<std::uint32_t>(dice() % timers);
    switch (dice() % 10) {
      case 0:
        queue.disarm(index);
        reference.disarm(index);
        break;
      case 8:  // ended, and the slot is another's at once
        queue.release(index);
        reference.disarm(index);
        ASSERT_EQ(queue.acquire(), index);
        break;
      case 9: {  // stopped before all that is due is called
        now += some_span(dice) / 2;
        queue.collect(now);
        const Indices expected = reference.fired(now, 3);
        for (const std::uint32_t one : expected)
          ASSERT_EQ(queue.next_due(), one) << "step " << step;
        break;
      }
      case 1:
      case 2: {
        now += some_span(dice) / 2;
        ASSERT_EQ(fired(queue, now), reference.fired(now)) << "step " << step;
        break;
      }
      case 3: {  // as the loop does it: sleep until it is said to be time, and no longer
        const time_point next = queue.next();
        ASSERT_LE(next, reference.next()) << "step " << step;
        if (next == TimerQueue::never) break;
        now = std::max(now, next);
        ASSERT_EQ(fired(queue, now), reference.fired(now)) << "step " << step;
        break;
      }
      default: {
        time_point deadline = now + some_span(dice);
        if (dice() % 16 == 0) deadline = now + std::chrono::milliseconds{dice() % 4};
        if (dice() % 16 == 0) deadline = now - some_span(dice) / 1024;
        if (dice() % 64 == 0) deadline = TimerQueue::never;
        queue.arm(index, deadline);
        reference.arm(index, deadline);
        break;
      }
    }
    ASSERT_EQ(queue.empty(), reference.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(, AgainstASortedList, testing::Range(1u, 9u));

/// Thousands that are due at once, spread over `width`, some of them armed twice.
void expect_in_order(std::chrono::nanoseconds width, std::mt19937_64& dice) {
  TimerQueue queue;
  Reference reference;
  for (std::uint32_t i = 0; i < 5000; ++i) EXPECT_EQ(queue.acquire(), i);
  const auto deadline = [&] {
    return at(1h) + std::chrono::nanoseconds{dice() % static_cast<std::uint64_t>(width.count())};
  };
  for (std::uint32_t i = 0; i < 7000; ++i) {
    const std::uint32_t index = i < 5000 ? i : static_cast<std::uint32_t>(dice() % 5000);
    const time_point when = deadline();
    queue.arm(index, when);
    reference.arm(index, when);
  }
  EXPECT_EQ(fired(queue, at(1h) + width / 2), reference.fired(at(1h) + width / 2));
  EXPECT_EQ(fired(queue, at(2h)), reference.fired(at(2h)));
  EXPECT_TRUE(queue.empty());
}

TEST(Thousands, FireInOrderHoweverTheyAreSpread) {
  std::mt19937_64 dice{7};
  for (const std::chrono::nanoseconds width : {2ns, 50ns, 5000ns, 1'000'000ns, 1'000'000'000ns})
    expect_in_order(width, dice);
  expect_in_order(30min, dice);
}

TEST(Thousands, FireInOrderWhereNearlyAllCrowdAndOneIsFarAway) {
  TimerQueue queue;
  Reference reference;
  std::mt19937_64 dice{8};
  for (std::uint32_t i = 0; i < 5000; ++i) {
    time_point when = at(1h + std::chrono::nanoseconds{dice() % 1000});
    if (i == 2500) when = time_point::min();
    EXPECT_EQ(queue.acquire(), i);
    queue.arm(i, when);
    reference.arm(i, when);
  }
  EXPECT_EQ(fired(queue, at(2h)), reference.fired(at(2h)));
}

}  // namespace

}  // namespace pollux::detail
