// SPDX-License-Identifier: MIT
// Timers: never early, in order, whatever a handler does to them. How late they are is the kernel's
// and the machine's; no test asks.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class ATimer : public OnEachBackend {
 protected:
  /// Runs turns until so many handlers have been called since.
  bool runs(std::size_t calls) {
    return run_until(reactor(), [&] { return fired.size() >= calls; });
  }

  Handler<void> noting(std::string name) {
    return [this, name] { fired.push_back(name); };
  }

  std::vector<std::string> fired;
};

using Names = std::vector<std::string>;

TEST_P(ATimer, NeverFiresEarly) {
  for (const std::chrono::nanoseconds delay :
       {0ns, 1ns, 999ns, 1000ns, 100'000ns, 999'999ns, 1'000'001ns, 3'500'000ns}) {
    for (int i = 0; i < 10; ++i) {
      Clock::time_point at{};
      const auto start = Clock::now();
      const Timer timer = reactor().after(delay, [&] { at = Clock::now(); });
      ASSERT_EQ(reactor().run_once(), 1u);
      EXPECT_GE(at - start, delay);
    }
  }
}

TEST_P(ATimer, FiresAtADeadlineThatIsPastInTheNextTurn) {
  const Timer past = reactor().at(Clock::now() - 1h, noting("past"));
  const Timer negative = reactor().after(-1h, noting("negative"));
  EXPECT_EQ(reactor().poll(), 2u);
  EXPECT_EQ(fired.front(), "past");
}

TEST_P(ATimer, FiresInTheNextTurnHoweverLongPastItsDeadlineIs) {
  using std::chrono::nanoseconds;
  const auto beginning = Timer::time_point::min();
  Timer timers[] = {reactor().after(nanoseconds::min(), noting("after")),
                    reactor().after(-nanoseconds::max(), noting("after")),
                    reactor().at(beginning + 1ns, noting("at")),
                    reactor().at(beginning, noting("at"))};
  EXPECT_EQ(reactor().next_timeout(), 0ns);
  EXPECT_EQ(reactor().run_once(5s), 4u);
  for (Timer& timer : timers) timer.restart(nanoseconds::min());
  EXPECT_EQ(reactor().prepare(), 0ns);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 4u);
}

TEST_P(ATimer, ThatRepeatsGoesOnInStepHoweverFarItFellBehind) {
  Timer timer = reactor().every(24h, noting("day"));
  const auto behind = Clock::now() - 23h;  // also where that is before the machine was started
  for (const auto deadline : {behind, Timer::time_point::min(), Timer::time_point::min() + 1ns}) {
    timer.restart_at(deadline);
    EXPECT_EQ(reactor().poll(), 1u);
    EXPECT_EQ(reactor().poll(), 0u);
    const auto now = Clock::now();
    EXPECT_GT(timer.deadline(), now);
    EXPECT_LE(timer.deadline(), now + 24h);
  }
  timer.restart_at(behind);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(timer.deadline(), behind + 24h);
}

TEST_P(ATimer, MayBeYearsAheadAndHoldsUpNobody) {
  constexpr auto year = std::chrono::hours{24 * 365};
  const Timer far[] = {reactor().every(290 * year, noting("far")),
                       reactor().after(100 * year, noting("far")),
                       reactor().after(std::chrono::nanoseconds::max(), noting("far")),
                       reactor().at(Timer::time_point::max(), noting("far")),
                       reactor().at(Timer::time_point::max() - 1ns, noting("far"))};
  EXPECT_EQ(reactor().run_once(1ms), 0u);
  const Timer soon = reactor().after(1ms, noting("soon"));
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(fired, Names{"soon"});
}

TEST_P(ATimer, FiresOnceAndIsKept) {
  Timer timer = reactor().after(0s, noting("once"));
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(timer);
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(timer.deadline(), Timer::time_point::max());
  EXPECT_EQ(reactor().run_once(2ms), 0u);
  timer.restart();
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(ATimer, FiresInTheOrderOfDeadlinesAndEqualOnesInTheOrderOfArming) {
  const auto soon = Clock::now() + 2ms;
  const Timer last = reactor().at(soon + 1ns, noting("last"));
  const Timer first = reactor().at(soon, noting("first"));
  const Timer second = reactor().at(soon, noting("second"));
  const Timer third = reactor().at(soon, noting("third"));
  ASSERT_TRUE(runs(4));
  EXPECT_EQ(fired, (Names{"first", "second", "third", "last"}));
}

TEST_P(ATimer, FiresAmongAHundredThousand) {
  std::vector<Timer> timers;
  std::size_t calls = 0;
  timers.reserve(100'000);
  for (int i = 0; i < 100'000; ++i)
    timers.push_back(reactor().after(std::chrono::hours{1 + i % 1000}, [] {}));
  const Timer one = reactor().after(1ms, [&] { ++calls; });
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(calls, 1u);
  for (Timer& timer : timers) timer.restart(0ns);
  std::size_t called = 0;
  while (called < timers.size()) called += reactor().poll();
  EXPECT_EQ(called, timers.size());
}

TEST_P(ATimer, DoesNotFireWhenItIsCancelledOrEndsFirst) {
  Timer cancelled = reactor().after(0s, noting("cancelled"));
  Timer ended = reactor().after(0s, noting("ended"));
  cancelled.cancel();
  EXPECT_FALSE(cancelled.armed());
  ended.reset();
  EXPECT_FALSE(ended);
  EXPECT_EQ(reactor().run_once(2ms), 0u);
  cancelled.cancel();
  ended.reset();
  cancelled.restart();
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(ATimer, FiresLaterWhenItIsPutOffAndEarlierWhenItIsPulledIn) {
  Timer timer = reactor().after(1h, noting("timer"));
  timer.restart(2h);
  timer.restart(1ms);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  timer.restart_at(Clock::now() + 1ms);
  const auto start = Clock::now();
  timer.restart(3ms);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_GE(Clock::now() - start, 3ms);
}

TEST_P(ATimer, ThatIsPutOffAgainAndAgainLetsTheLoopSleep) {
  Timer timer = reactor().after(1h, noting("never"));
  for (int i = 0; i < 1000; ++i) timer.restart();
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(fired, Names{});
}

TEST_P(ATimer, MayDestroyItself) {
  auto own = std::make_unique<Timer>();
  auto alive = std::make_shared<int>(1);
  const std::weak_ptr<int> capture = alive;
  *own = reactor().after(0s, [&, alive = std::move(alive)] {
    own.reset();
    EXPECT_FALSE(capture.expired()) << "the handler that runs is still there";
    fired.push_back("own");
  });
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(fired, Names{"own"});
  EXPECT_TRUE(capture.expired());
}

TEST_P(ATimer, MayDestroyCancelAndRestartOthersThatAreDue) {
  Timer destroyed;
  Timer cancelled;
  Timer restarted;
  const auto past = Clock::now() - 1s;
  const Timer first = reactor().at(past, [&] {
    destroyed.reset();
    cancelled.cancel();
    restarted.restart_at(past);  // due, but armed in this turn
  });
  destroyed = reactor().at(past, noting("destroyed"));
  cancelled = reactor().at(past, noting("cancelled"));
  restarted = reactor().at(past, noting("restarted"));
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(fired, Names{"restarted"});
}

TEST_P(ATimer, ArmedByAHandlerComesInTheNextTurnAndStarvesNobody) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  Timer again;
  again = reactor().after(0s, [&] { again.restart(0s); });
  write_bytes(pair.peer, "abc");
  local.events_until("readable");
  drain(pair.local);
  for (int turns = 0; turns < 10; ++turns) EXPECT_EQ(reactor().poll(), 1u);
}

TEST_P(ATimer, RepeatsAtItsPeriod) {
  std::vector<Clock::time_point> calls;
  const auto start = Clock::now();
  const Timer timer = reactor().every(2ms, [&] { calls.push_back(Clock::now()); });
  ASSERT_TRUE(run_until(reactor(), [&] { return calls.size() >= 5; }));
  for (std::size_t i = 0; i < calls.size(); ++i)
    EXPECT_GE(calls[i] - start, 2ms * static_cast<int>(i + 1)) << "call " << i;
  EXPECT_TRUE(timer.armed());
}

TEST_P(ATimer, ThatRepeatsAndFallsBehindFiresOnceAndStaysInStep) {
  std::size_t calls = 0;
  Timer timer = reactor().every(1h, [&] { ++calls; });
  timer.restart_at(Clock::now() - 90min);  // one was missed, and half of another
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(calls, 1u);
  EXPECT_GT(timer.deadline(), Clock::now() + 25min);
  EXPECT_LE(timer.deadline(), Clock::now() + 30min);
}

TEST_P(ATimer, ThatRepeatsMayCancelItself) {
  Timer timer;
  timer = reactor().every(1ns, [&] {
    fired.push_back("tick");
    if (fired.size() == 3) timer.cancel();
  });
  ASSERT_TRUE(runs(3));
  EXPECT_EQ(reactor().run_once(2ms), 0u);
  EXPECT_EQ(fired.size(), 3u);
}

TEST_P(ATimer, WhosePeriodIsNoneIsRefused) {
  for (const std::chrono::nanoseconds period : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
    std::error_code error;
    const Timer timer = reactor().every(period, noting("never"), error);
    EXPECT_EQ(error, std::errc::invalid_argument);
    EXPECT_FALSE(timer);
    EXPECT_THROW(static_cast<void>(reactor().every(period, noting("never"))), std::system_error);
  }
}

TEST_P(ATimer, MayWaitForEver) {
  const Timer after = reactor().after(std::chrono::nanoseconds::max(), noting("never"));
  const Timer at = reactor().at(Timer::time_point::max(), noting("never"));
  Timer every = reactor().every(std::chrono::nanoseconds::max(), noting("once"));
  EXPECT_EQ(reactor().run_once(1ms), 0u);
  every.restart(0s);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().run_once(1ms), 0u);
}

TEST_P(ATimer, ThatIsFarOffLetsTheLoopSleep) {
  const Timer timer = reactor().after(1h, noting("never"));
  EXPECT_TRUE(sleeps());
  Timer cancelled = reactor().after(1ms, noting("never"));
  cancelled.cancel();
  EXPECT_TRUE(sleeps());
}

TEST_P(ATimer, StoppedByAHandlerLeavesTheOthersForLater) {
  const auto past = Clock::now() - 1s;
  const Timer first = reactor().at(past, [&] {
    fired.push_back("first");
    reactor().stop();
  });
  const Timer second = reactor().at(past, noting("second"));
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(fired, (Names{"first", "second"}));
}

TEST_P(ATimer, WhoseHandlerThrowsIsDoneAndTheOthersComeLater) {
  const auto past = Clock::now() - 1s;
  const Timer first = reactor().at(past, [] { throw std::runtime_error{"thrown"}; });
  const Timer second = reactor().at(past, noting("second"));
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(fired, Names{"second"});
}

TEST_P(ATimer, MayBeMovedAndKeepsItsTime) {
  Timer moved;
  {
    Timer timer = reactor().after(0s, noting("moved"));
    moved = std::move(timer);
    EXPECT_FALSE(timer);
  }
  EXPECT_TRUE(moved.armed());
  EXPECT_EQ(reactor().run_once(), 1u);
  moved = reactor().after(0s, noting("another"));
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(fired, (Names{"moved", "another"}));
}

TEST_P(ATimer, OutlivesItsReactorWithoutHarm) {
  Timer timer;
  {
    Reactor other{make_contestant(backend())};
    timer = other.after(0s, noting("never"));
  }
  EXPECT_TRUE(timer);
  EXPECT_FALSE(timer.armed());
  std::error_code error;
  timer.restart(error);
  EXPECT_EQ(error, Errc::reactor_closed);
  timer.cancel();
  timer.reset();
  timer.restart(error);
  EXPECT_EQ(error, Errc::timer_closed);
  EXPECT_THROW(timer.restart_at(Clock::now()), std::system_error);
}

TEST_P(ATimer, WhoseCaptureOwnsItEndsWithTheReactor) {
  auto other = std::make_unique<Reactor>(make_contestant(backend()));
  auto timer = std::make_shared<Timer>();
  const std::weak_ptr<Timer> capture = timer;
  *timer = other->after(1h, [timer] {});
  timer.reset();
  EXPECT_FALSE(capture.expired());
  other.reset();
  EXPECT_TRUE(capture.expired());
}

/// A stream that is never without a byte, so that no wait ever has to last.
class ATimerOfABusyLoop : public OnEachBackend {
 protected:
  void SetUp() override {
    OnEachBackend::SetUp();
    write_bytes(pair_.peer, "x");
    busy_ = reactor().watch_stream(pair_.local.get(), Interest::readable,
                                   [this](const StreamEvent&) { ++events_; });
  }
  void TearDown() override {
    busy_.reset();
    OnEachBackend::TearDown();
  }
  /// Turns, so that the loop knows itself to be busy.
  void be_busy() {
    for (int i = 0; i < 10; ++i) reactor().run_once();
  }

  Pair pair_ = make_pair(cheapest_pair_kind());
  StreamWatch busy_;
  int events_ = 0;
};

TEST_P(ATimerOfABusyLoop, FiresAndNeverEarly) {
  be_busy();
  for (int i = 0; i < 10; ++i) {
    Clock::time_point at{};
    const auto deadline = Clock::now() + 2ms;
    const Timer timer = reactor().at(deadline, [&] { at = Clock::now(); });
    be_busy();
    ASSERT_TRUE(run_until(reactor(), [&] { return at != Clock::time_point{}; }));
    EXPECT_GE(at, deadline);
  }
}

TEST_P(ATimerOfABusyLoop, FiresBeforeOneThatWasArmedEarlierForLater) {
  be_busy();
  std::vector<int> fired;
  const Timer hour = reactor().after(1h, [&] { fired.push_back(3); });
  be_busy();
  Timer second;
  do {  // again, if the machine was so slow that it is due before the other is armed
    fired.clear();
    second = reactor().after(6ms, [&] { fired.push_back(2); });
    be_busy();
  } while (!fired.empty());
  // However slow the machine is, it is due before the other.
  const Timer first = reactor().at(second.deadline() - 4ms, [&] { fired.push_back(1); });
  ASSERT_TRUE(run_until(reactor(), [&] { return fired.size() == 2; }));
  EXPECT_EQ(fired, (std::vector{1, 2}));
}

TEST_P(ATimerOfABusyLoop, FiresAtTheDeadlineItWasPutOffTo) {
  be_busy();
  Clock::time_point at{};
  Timer timer = reactor().after(1ms, [&] { at = Clock::now(); });
  be_busy();
  at = {};  // if the machine was so slow that it has fired
  const auto deadline = Clock::now() + 5ms;
  timer.restart_at(deadline);
  ASSERT_TRUE(run_until(reactor(), [&] { return at != Clock::time_point{}; }));
  EXPECT_GE(at, deadline);
}

TEST_P(ATimerOfABusyLoop, ThatWasCancelledLeavesTheOthersInTime) {
  be_busy();
  bool fired = false;
  {
    const Timer cancelled = reactor().after(1ms, [] {});
    be_busy();
  }
  const Timer timer = reactor().after(3ms, [&] { fired = true; });
  EXPECT_TRUE(run_until(reactor(), [&] { return fired; }));
}

TEST_P(ATimerOfABusyLoop, FiresAlsoWhenTheLoopHasComeToRest) {
  be_busy();
  bool fired = false;
  const Timer timer = reactor().after(5ms, [&] { fired = true; });
  be_busy();
  busy_.reset();
  EXPECT_TRUE(run_until(reactor(), [&] { return fired; }));
}

TEST_P(ATimerOfABusyLoop, LeavesTheLoopAsleepWhenItHasFired) {
  be_busy();
  bool fired = false;
  const Timer timer = reactor().after(2ms, [&] { fired = true; });
  be_busy();
  ASSERT_TRUE(run_until(reactor(), [&] { return fired; }));
  busy_.reset();
  EXPECT_TRUE(sleeps());
}

TEST_P(ATimerOfABusyLoop, CostsItsTurnsNoSystemCall) {
  const auto calls_of_turns = [this] {
    be_busy();
    const std::uint64_t before = reactor().stats().system_calls;
    for (int i = 0; i < 200; ++i) reactor().run_once();
    return reactor().stats().system_calls - before;
  };
  const std::uint64_t without = calls_of_turns();
  const Timer far = reactor().after(1h, [] {});
  // Once in 256 reports it is asked whether the descriptor still is what is watched.
  EXPECT_LE(calls_of_turns(), without + system_facts().calls_of_a_check);
}

POLLUX_ON_EACH_BACKEND(ATimerOfABusyLoop);
POLLUX_ON_EACH_BACKEND(ATimer);

}  // namespace
}  // namespace pollux::conformance
