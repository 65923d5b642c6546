// SPDX-License-Identifier: MIT
// The turn: waits and their deadlines, batches, stop and wake, failures of the wait, exceptions.
#include <algorithm>
#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>
#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

constexpr auto nothing = [](auto&&) {};

/// How much of the fake time a call takes.
template <class Call>
std::chrono::nanoseconds time_of(Call call) {
  const auto start = FakeClock::now();
  call();
  return FakeClock::now() - start;
}

TEST(Deadlines, OfRunOnceAreMetToTheNanosecond) {
  FakeReactor on;
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(10ms), 0u); }), 10ms);
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(1ns), 0u); }), 1ns);
}

TEST(Deadlines, OutliveEmptyReturns) {
  FakeReactor on;
  for (const auto delay : {0ms, 3ms, 3ms, 7ms}) on.fake.after(delay, [&] { on.fake.interrupt(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_once(10ms); }), 10ms);
  std::vector<std::chrono::nanoseconds> timeouts;
  for (const Timeout& timeout : on.fake.waits()) timeouts.push_back(timeout.duration());
  EXPECT_EQ(timeouts, (std::vector<std::chrono::nanoseconds>{10ms, 10ms, 7ms, 7ms, 3ms}));
}

TEST(Deadlines, DoNotExistWithoutATimeout) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.interrupt();
  on.fake.after(1h, [&] { on.fake.interrupt(); });
  on.fake.after(2h, [&] { on.fake.set_ready(5, RawReady::in); });
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(), 1u); }), 2h);
  EXPECT_EQ(log, Log{"called"});
  for (const Timeout& timeout : on.fake.waits()) EXPECT_TRUE(timeout.is_infinite());
}

TEST(Deadlines, OfRunOnceEndWithTheFirstCall) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.after(3ms, [&] { on.fake.set_ready(5, RawReady::in); });
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(10ms), 1u); }), 3ms);
}

TEST(Deadlines, OfRunForHoldWhateverHappens) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    on.fake.set_ready(5, RawReady::none);
    on.fake.after(3ms, [&] { on.fake.set_ready(5, RawReady::in); });
  });
  on.fake.set_ready(5, RawReady::in);
  on.fake.after(4ms, [&] { on.reactor.wake(); });
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_for(10ms), 4u); }), 10ms);
}

TEST(Deadlines, InThePastMeanOneTurnThatNeverWaits) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(on.reactor.run_once(0ns), 1u);
  EXPECT_EQ(on.reactor.run_once(-1s), 1u);
  EXPECT_EQ(on.reactor.run_for(0ns), 1u);
  EXPECT_EQ(on.reactor.run_for(-1s), 1u);
  ASSERT_EQ(on.fake.waits().size(), 5u);
  for (const Timeout& timeout : on.fake.waits()) EXPECT_TRUE(timeout.is_zero());
}

TEST(Deadlines, BeyondTheEndOfTimeAreInfinite) {
  FakeReactor on;
  on.fake.interrupt();
  on.fake.after(24h * 365, [&] { on.reactor.stop(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_once(std::chrono::nanoseconds::max()); }), 24h * 365);
}

TEST(EmptyReturns, CostRunOnceNothing) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  for (int i = 0; i < 5; ++i) on.fake.interrupt();
  on.fake.after(1ms, [&] { on.fake.set_ready(5, RawReady::in); });
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(on.fake.waits().size(), 6u);
}

TEST(Reports, TwoForOneTokenAreOneCall) {
  FakeReactor on;
  std::vector<Readiness> delivered;
  Watch watch = on.reactor.watch(5, Interest::readable | Interest::writable,
                                 [&](Readiness readiness) { delivered.push_back(readiness); });
  const Token token = on.fake.calls()[0].token;
  on.fake.report(token, RawReady::in);
  on.fake.report(token, RawReady::out);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(delivered, (std::vector{Readiness{Interest::readable | Interest::writable}}));
}

TEST(Reports, OfFailureWakeWhateverAReadinessWatchAskedFor) {
  FakeReactor on;
  for (const Interest interest :
       {Interest::readable, Interest::writable, Interest::readable | Interest::writable}) {
    for (const RawReady ready : {RawReady::hup, RawReady::err}) {
      std::vector<Readiness> delivered;
      Watch watch = on.reactor.watch(5, interest, [&](Readiness r) { delivered.push_back(r); });
      on.fake.set_ready(5, ready);
      on.reactor.poll();
      EXPECT_EQ(delivered,
                (std::vector{Readiness{interest, ready == RawReady::err, ready == RawReady::hup}}));
    }
  }
}

TEST(Reports, OfWhatIsNoLongerAskedForAreDropped) {
  FakeReactor on;
  Log log;
  Watch second;
  Watch first = on.reactor.watch(5, Interest::readable,
                                 [&](Readiness) { second.set_interest(Interest::writable); });
  second = on.watch(6, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  on.fake.set_ready(6, RawReady::in);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{});
}

TEST(Batches, OfOneServeEverybodyInTurn) {
  FakeReactor on{ReactorOptions{.event_batch = 1}};
  Log log;
  std::vector<Watch> watches;
  for (const int handle : {5, 6, 7}) {
    watches.push_back(on.watch(handle, Interest::readable, log, std::to_string(handle)));
    on.fake.set_ready(handle, RawReady::in);
  }
  for (int i = 0; i < 6; ++i) EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, (Log{"5", "6", "7", "5", "6", "7"}));
}

TEST(Batches, OfNoneAreOfOne) {
  FakeReactor on{ReactorOptions{.event_batch = 0}};
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.set_ready(5, RawReady::in);
  EXPECT_EQ(on.reactor.poll(), 1u);
}

TEST(FailingWait, LeavesRunWithItsErrorAndNothingElse) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  std::error_code error;
  on.fake.fail(Operation::wait, std::errc::not_enough_memory);
  EXPECT_EQ(on.reactor.run(error), 0u);
  EXPECT_EQ(error, std::errc::not_enough_memory);
  on.fake.fail(Operation::wait, std::errc::invalid_argument);
  EXPECT_EQ(thrown_by([&] { on.reactor.run_once(1s); }), std::errc::invalid_argument);
  EXPECT_EQ(on.reactor.poll(error), 1u);
  EXPECT_FALSE(error);
  EXPECT_EQ(log, Log{"called"});
}

TEST(FailingWait, DoesNotRepeatWhatTheLastOneBrought) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  Log log;
  StreamWatch watch = on.watch_stream(pair.local.get(), Interest::readable, log);
  on.fake.set_ready(pair.local.get(), RawReady::err);  // no failure, and nothing to read: masked
  on.reactor.poll();
  on.reactor.poll();
  on.fake.forget_calls();
  std::error_code error;
  on.fake.fail(Operation::wait, std::errc::not_enough_memory);
  on.reactor.run(error);
  on.reactor.poll(error);
  EXPECT_EQ(on.fake.calls().size(), 0u);
}

TEST(FailingWait, ByAnExceptionPassesThrough) {
  FakeReactor on;
  on.fake.after(0ms, [] { throw std::runtime_error{"foreign"}; });
  EXPECT_THROW(on.reactor.poll(), std::runtime_error);
  EXPECT_EQ(on.reactor.poll(), 0u);
}

TEST(Exceptions, LeaveRunAndTheRestIsReportedAgain) {
  FakeReactor on;
  Log log;
  Watch first = on.watch(5, Interest::readable, log, "first");
  Watch second = on.reactor.watch(6, Interest::readable, [&](Readiness) {
    on.fake.set_ready(6, RawReady::none);
    throw std::runtime_error{"handler"};
  });
  Watch third = on.watch(7, Interest::readable, log, "third");
  for (const int handle : {5, 6, 7}) on.fake.set_ready(handle, RawReady::in);
  EXPECT_THROW(on.reactor.run(), std::runtime_error);
  EXPECT_EQ(log, Log{"first"});
  on.fake.set_ready(5, RawReady::none);
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(log, (Log{"first", "third"}));
}

TEST(Exceptions, OfAHandlerThatEndedItselfLeaveNothingBehind) {
  FakeReactor on;
  auto capture = std::make_shared<int>();
  Watch watch;
  watch = on.reactor.watch(5, Interest::readable, [&, capture](Readiness) {
    watch.reset();
    throw std::runtime_error{"handler"};
  });
  on.fake.set_ready(5, RawReady::in);
  EXPECT_THROW(on.reactor.poll(), std::runtime_error);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_EQ(on.reactor.poll(), 0u);
}

/// Two watches in one batch: the first ends it early, the second is a stream whose error bit is
/// masked.
class MaskedBehindAnEarlyEnd : public testing::TestWithParam<bool> {};

TEST_P(MaskedBehindAnEarlyEnd, IsReportedAgain) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  Log log;
  Watch first = on.reactor.watch(1000, Interest::readable, [&](Readiness) {
    on.fake.set_ready(1000, RawReady::none);
    if (GetParam()) throw std::runtime_error{"handler"};
    on.reactor.stop();
  });
  StreamWatch second = on.watch_stream(handle, Interest::readable, log);
  on.fake.set_ready(handle, RawReady::err);
  on.reactor.poll();
  on.reactor.poll();
  ASSERT_EQ(on.fake.interest(handle), RawInterest::in | RawInterest::rdhup | RawInterest::edge);

  write_bytes(pair.peer, "x");
  on.fake.set_ready(1000, RawReady::in);
  on.fake.set_ready(handle, RawReady::in | RawReady::err);
  if (GetParam()) {
    EXPECT_THROW(on.reactor.poll(), std::runtime_error);
  } else {
    EXPECT_EQ(on.reactor.poll(), 1u);
  }
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{"readable"});
}

INSTANTIATE_TEST_SUITE_P(, MaskedBehindAnEarlyEnd, testing::Bool(),
                         [](const auto& row) { return row.param ? "ByAnException" : "ByStop"; });

TEST(Stop, InTheMiddleOfABatchLeavesTheRestToTheNextRun) {
  FakeReactor on;
  Log log;
  Watch first = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    log.push_back("first");
    on.fake.set_ready(5, RawReady::none);
    on.reactor.stop();
  });
  Watch second = on.watch(6, Interest::readable, log, "second");
  on.fake.set_ready(5, RawReady::in);
  on.fake.set_ready(6, RawReady::in);
  EXPECT_EQ(on.reactor.run(), 1u);
  EXPECT_EQ(log, Log{"first"});
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, (Log{"first", "second"}));
}

TEST(Stop, BeforeARunMakesThatOneReturnAtOnce) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  on.reactor.stop();
  on.reactor.stop();
  EXPECT_EQ(on.reactor.run(), 0u);
  EXPECT_EQ(on.fake.waits().size(), 0u);
  EXPECT_EQ(on.reactor.run_once(), 1u);
}

TEST(Stop, EndsAWaitAndIsUsedUp) {
  FakeReactor on;
  on.fake.after(3ms, [&] { on.reactor.stop(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_forever(); }), 3ms);
  EXPECT_EQ(time_of([&] { on.reactor.run_for(10ms); }), 10ms);
  on.fake.after(3ms, [&] { on.reactor.stop(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_for(10ms); }), 3ms);
}

TEST(Wake, BeforeRunOnceMakesItReturnAtOnce) {
  FakeReactor on;
  on.reactor.wake();
  on.reactor.wake();
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(), 0u); }), 0ms);
  EXPECT_EQ(time_of([&] { on.reactor.run_once(10ms); }), 10ms) << "two calls fall together";
}

TEST(Wake, EndsARunOnceThatWaits) {
  FakeReactor on;
  on.fake.after(3ms, [&] { on.reactor.wake(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_once(); }), 3ms);
}

TEST(Wake, IsNotLostWhileHandlersRun) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    on.fake.set_ready(5, RawReady::none);
    on.reactor.wake();
  });
  on.fake.set_ready(5, RawReady::in);
  EXPECT_EQ(on.reactor.run_once(), 1u);
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run_once(), 0u); }), 0ms);
}

TEST(Wake, DoesNotEndRunForever) {
  FakeReactor on;
  on.fake.after(3ms, [&] { on.reactor.wake(); });
  on.fake.after(5ms, [&] { on.reactor.stop(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_forever(); }), 5ms);
}

TEST(Wake, LeftOverFromAStopDoesNotEndRunOnceEarly) {
  FakeReactor on;
  on.reactor.stop();
  EXPECT_EQ(on.reactor.run(), 0u);
  EXPECT_EQ(time_of([&] { on.reactor.run_once(10ms); }), 10ms);
}

TEST(Wake, HeardByARunThatAnExceptionEndedDoesNotEndTheNextEarly) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    on.fake.set_ready(5, RawReady::none);
    throw std::runtime_error{"enough"};
  });
  on.fake.set_ready(5, RawReady::in);
  on.reactor.wake();
  EXPECT_THROW(on.reactor.run_once(), std::runtime_error);
  on.fake.interrupt();  // a turn that receives nothing
  EXPECT_EQ(time_of([&] { on.reactor.run_once(5ms); }), 5ms);
}

TEST(RunInsideAHandler, IsRefusedInEveryForm) {
  FakeReactor on;
  std::vector<std::error_code> errors;
  Watch watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    on.fake.set_ready(5, RawReady::none);
    errors.resize(6);
    on.reactor.run(errors[0]);
    on.reactor.run_once(errors[1]);
    on.reactor.run_once(1ms, errors[2]);
    on.reactor.run_for(1ms, errors[3]);
    on.reactor.poll(errors[4]);
    on.reactor.run_forever(errors[5]);
  });
  on.fake.set_ready(5, RawReady::in);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(errors, std::vector<std::error_code>(6, Errc::already_running));
  EXPECT_EQ(on.fake.waits().size(), 1u);
}

TEST(Run, WithNothingThatCouldCallAHandlerReturnsAtOnce) {
  FakeReactor on;
  EXPECT_EQ(on.reactor.run(), 0u);
  EXPECT_EQ(on.fake.waits().size(), 0u);
}

TEST(Run, EndsWithTheLastWatch) {
  FakeReactor on;
  Watch other = on.reactor.watch(6, Interest::readable, [](Readiness) {});
  Watch last = on.reactor.watch(5, Interest::readable, [&](Watch& watch, Readiness) {
    other.reset();
    watch.reset();
  });
  on.fake.set_ready(5, RawReady::in);
  EXPECT_EQ(on.reactor.run(), 1u);
  EXPECT_EQ(on.reactor.run(), 0u);
}

TEST(Run, GoesOnForAWatchThatAsksForNothing) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  const StreamWatch watch =
      on.reactor.watch_stream(pair.local.get(), Interest::none, [](const StreamEvent&) {});
  on.fake.after(3ms, [&] { on.reactor.stop(); });
  EXPECT_EQ(time_of([&] { on.reactor.run(); }), 3ms);
}

TEST(Run, EndsWithTheLastArmedTimer) {
  FakeReactor on;
  const Timer never_armed = on.reactor.timer([] {});
  const Timer once = on.reactor.after(3ms, [] {});
  Timer cancelled = on.reactor.after(1h, [] {});
  const Timer cancels = on.reactor.after(5ms, [&] { cancelled.cancel(); });
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run(), 2u); }), 5ms);
}

TEST(Run, CallsWhatWasPostedAndEnds) {
  FakeReactor on;
  int calls = 0;
  on.reactor.post([&] {
    ++calls;
    on.reactor.post([&] { ++calls; });
  });
  EXPECT_EQ(on.reactor.run(), 2u);
  EXPECT_EQ(calls, 2);
}

TEST(Run, GoesOnAsLongAsThereIsAPoster) {
  FakeReactor on;
  std::optional<Poster> poster = on.reactor.poster();
  std::optional<Poster> copy = poster;
  Poster moved = *std::move(poster);
  poster.reset();
  on.fake.after(1ms, [&] { copy.reset(); });
  on.fake.after(3ms, [&] { moved = {}; });
  EXPECT_EQ(time_of([&] { EXPECT_EQ(on.reactor.run(), 0u); }), 3ms);
}

TEST(Run, CallsWhatTheLastPosterHasPosted) {
  FakeReactor on;
  std::optional<Poster> poster = on.reactor.poster();
  int calls = 0;
  on.fake.after(1ms, [&] {
    poster->post([&] { ++calls; });
    poster.reset();
  });
  EXPECT_EQ(on.reactor.run(), 1u);
  EXPECT_EQ(calls, 1);
}

TEST(APoster, ThatGoesDoesNotEndTheOtherWaits) {
  FakeReactor on;
  std::optional<Poster> poster = on.reactor.poster();
  on.fake.after(1ms, [&] { poster.reset(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_once(5ms); }), 5ms);
  poster = on.reactor.poster();
  on.fake.after(1ms, [&] { poster.reset(); });
  EXPECT_EQ(time_of([&] { on.reactor.run_for(5ms); }), 5ms);
  poster = on.reactor.poster();
  on.fake.after(1ms, [&] { poster.reset(); });
  on.fake.after(5ms, [&] { on.reactor.stop(); });
  const std::size_t waits = on.fake.waits().size();
  EXPECT_EQ(time_of([&] { on.reactor.run_forever(); }), 5ms);
  EXPECT_LE(on.fake.waits().size() - waits, 4u) << "it does not turn";
}

TEST(APoster, MayOutliveItsReactor) {
  Poster poster;
  {
    FakeReactor on;
    poster = on.reactor.poster();
  }
  const Poster copy = poster;
  std::error_code error;
  copy.post([] {}, error);
  EXPECT_EQ(error, Errc::reactor_closed);
}

/// The fake kernel reports nothing of it, as Windows does not.
TEST(AnOwnShutdown, ThroughTheWatchIsDeliveredThoughNothingIsReported) {
  for (const RawReady reports : {FakeBackend::native, FakeBackend::emulated}) {
    FakeReactor on{reports, true};
    const Pair pair = make_pair(cheapest_pair_kind());
    Log log;
    StreamWatch watch = on.watch_stream(pair.local.get(), Interest::readable, log);
    watch.shutdown(Shutdown::read);
    EXPECT_EQ(on.reactor.run_once(0s), 1u);
    EXPECT_EQ(log, Log{"end_of_stream"});
    watch.shutdown(Shutdown::write);
    EXPECT_EQ(on.reactor.run_once(0s), 1u);
    EXPECT_EQ(log, (Log{"end_of_stream", "hangup"}));
    EXPECT_EQ(on.reactor.run_once(0s), 0u);
  }
}

TEST(AnOwnShutdown, OfAWatchThatEndsBeforeTheTurnIsForgotten) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  const Pair other = make_pair(cheapest_pair_kind());
  Log log;
  StreamWatch watch = on.watch_stream(pair.local.get(), Interest::readable, log);
  watch.shutdown(Shutdown::both);
  watch.reset();
  StreamWatch next = on.watch_stream(other.local.get(), Interest::readable, log);
  EXPECT_EQ(on.reactor.run_once(0s), 0u) << "in the slot of the first";
  EXPECT_EQ(log, Log{});
  next.shutdown(Shutdown::both);
  EXPECT_EQ(on.reactor.run_once(0s), 1u);
  EXPECT_EQ(log, Log{"end_of_stream hangup"});
}

TEST(AReportedFailure, HasTheNumberThatCameWithItWhereTheKernelKnowsNone) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  const Pair other = make_pair(cheapest_pair_kind());
  std::vector<std::error_code> errors;
  const auto keep = [&](const StreamEvent& event) { errors.push_back(event.error()); };
  StreamWatch alone = on.reactor.watch_stream(pair.local.get(), Interest::readable, keep);
  StreamWatch second = on.reactor.watch_stream(other.local.get(), Interest::none, keep);
  const auto fails = [&](int call, std::errc error) {
    on.fake.report(on.fake.calls()[static_cast<std::size_t>(call)].token,
                   RawReady::err | RawReady::hup, system_error_code(error).value());
  };
  fails(0, std::errc::connection_reset);
  on.reactor.run_once(0s);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0], std::errc::connection_reset) << "reported alone";
  on.fake.report(on.fake.calls()[1].token, RawReady::hup);
  fails(1, std::errc::timed_out);
  on.reactor.run_once(0s);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[1], std::errc::timed_out) << "with a second report of the same watch";
}

}  // namespace

}  // namespace pollux::support
