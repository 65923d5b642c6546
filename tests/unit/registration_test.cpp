// SPDX-License-Identifier: MIT
// What the kernel is told of registrations, how often, and what becomes of its refusals.
#include <pollux/reactor.hpp>

#include <optional>

#include <gtest/gtest.h>

#include "conformance/support/pairs.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

constexpr auto nothing = [](auto&&) {};

TEST(InterestChanges, AreGatheredIntoOneCallATurn) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.forget_calls();
  watch.set_interest(Interest::writable);
  watch.set_interest(Interest::none);
  watch.set_interest(Interest::readable | Interest::writable);
  EXPECT_EQ(on.fake.calls().size(), 0u);
  on.reactor.poll();
  on.reactor.poll();
  ASSERT_EQ(on.fake.count(Operation::change), 1);
  EXPECT_EQ(on.fake.calls().back().from, RawInterest::in);
  EXPECT_EQ(on.fake.calls().back().to, RawInterest::in | RawInterest::out);
}

TEST(InterestChanges, ThatNewlyAskToWriteFirstAskWhoseTheNumberIs) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.forget_calls();
  on.fake.close(5);
  watch.set_interest(Interest::readable | Interest::writable);
  on.reactor.poll();
  EXPECT_EQ(on.fake.count(Operation::change), 0);
  std::error_code error;
  watch.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
}

TEST(InterestChanges, OfAHandlerThatWasJustCalledAskNothing) {
  FakeReactor on;
  Watch watch;
  watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    watch.set_interest(Interest::readable | Interest::writable);
  });
  on.fake.set_ready(5, RawReady::in);
  on.reactor.poll();
  on.fake.forget_calls();
  on.reactor.poll();
  EXPECT_EQ(on.fake.calls().size(), 1u);
  EXPECT_EQ(on.fake.count(Operation::change), 1);
}

TEST(InterestChanges, BackAndForthCostNothing) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.forget_calls();
  watch.set_interest(Interest::none);
  watch.set_interest(Interest::readable | Interest::writable);
  watch.set_interest(Interest::readable);
  on.reactor.poll();
  EXPECT_EQ(on.fake.calls().size(), 0u);
}

TEST(InterestChanges, MadeByAHandlerGoOutBeforeTheNextWait) {
  FakeReactor on;
  Watch watch;
  watch = on.reactor.watch(5, Interest::writable,
                           [&](Readiness) { watch.set_interest(Interest::readable); });
  on.fake.set_ready(5, RawReady::out);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(5), RawInterest::out);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(5), RawInterest::in);
}

TEST(InterestChanges, OfAWatchThatEndsInTheSameTurnAreForgotten) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.forget_calls();
  watch.set_interest(Interest::writable);
  watch.reset();
  on.reactor.poll();
  ASSERT_EQ(on.fake.calls().size(), 1u);
  EXPECT_EQ(on.fake.calls()[0].to, RawInterest::none);
}

TEST(InterestChanges, OfAnEndedWatchDoNotTouchTheNextOneInItsSlot) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  watch.set_interest(Interest::writable);
  watch.reset();
  watch = on.reactor.watch(6, Interest::readable, nothing);
  on.fake.forget_calls();
  on.reactor.poll();
  EXPECT_EQ(on.fake.calls().size(), 0u);
  watch.set_interest(Interest::writable);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(6), RawInterest::out);
}

TEST(InterestChanges, ToNothingTakeAReadinessWatchOutOfTheSet) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::hup);
  watch.set_interest(Interest::none);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(5), RawInterest::none);
  EXPECT_EQ(log, Log{});
  watch.set_interest(Interest::readable);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"called"});
}

TEST(InterestChanges, WhoseAdditionIsRefusedTellTheCallerAndChangeNothing) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  Watch watch = on.reactor.watch(pair.local.get(), Interest::none, nothing);
  EXPECT_EQ(on.fake.calls().size(), 0u);
  on.fake.fail(Operation::add, std::errc::no_space_on_device);
  std::error_code error;
  watch.set_interest(Interest::readable, error);
  EXPECT_EQ(error, std::errc::no_space_on_device);
  EXPECT_EQ(watch.interest(), Interest::none);
  on.fake.fail(Operation::add, std::errc::not_enough_memory);
  EXPECT_EQ(thrown_by([&] { watch.set_interest(Interest::readable); }),
            std::errc::not_enough_memory);
  watch.set_interest(Interest::readable);
  EXPECT_EQ(on.fake.interest(pair.local.get()), RawInterest::in);
}

TEST(InterestChanges, ToPeerClosedAreRefusedOnAReadinessWatch) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  std::error_code error;
  watch.set_interest(Interest::peer_closed, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(watch.interest(), Interest::readable);
}

TEST(InterestChanges, ThatFailKeepTheOldInterestAndAreTriedAgain) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in | RawReady::out);
  on.fake.fail(Operation::change, std::errc::not_enough_memory);
  watch.set_interest(Interest::readable | Interest::writable);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(5), RawInterest::in);
  EXPECT_EQ(watch.interest(), Interest::readable | Interest::writable);
  EXPECT_EQ(log, Log{"called"});
  on.reactor.poll();
  EXPECT_EQ(on.fake.count(Operation::change), 1) << "it is not tried at every turn";
  FakeClock::advance(1ms);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(5), RawInterest::in | RawInterest::out);
}

TEST(InterestChanges, ThatGoOnFailingAreTriedLessAndLessOften) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.forget_calls();
  watch.set_interest(Interest::writable);
  const auto start = FakeClock::now();
  while (FakeClock::now() < start + 400ms) {
    on.fake.fail(Operation::change, std::errc::not_enough_memory);
    on.reactor.poll();
    FakeClock::advance(1ms);
  }
  std::vector<std::int64_t> tried_ms;
  for (const FakeCall& call : on.fake.calls()) {
    if (FakeBackend::operation(call.from, call.to) == Operation::change)
      tried_ms.push_back((call.when - start) / 1ms);
  }
  EXPECT_EQ(tried_ms, (std::vector<std::int64_t>{0, 1, 3, 7, 15, 31, 63, 127, 227, 327}));
}

TEST(InterestChanges, WakeAWaitWhenTheyMayBeTriedAgain) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  on.fake.fail(Operation::change, std::errc::not_enough_memory);
  watch.set_interest(Interest::writable);
  on.reactor.run_for(1s);
  ASSERT_EQ(on.fake.waits().size(), 2u);
  EXPECT_EQ(on.fake.waits()[0].duration(), 1ms);
  EXPECT_EQ(on.fake.waits()[1].duration(), 999ms);
  EXPECT_EQ(on.fake.interest(5), RawInterest::out);
}

class ClosedAndChanged : public testing::TestWithParam<std::errc> {};

TEST_P(ClosedAndChanged, AWatchReceivesNothingMore) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "old");
  const std::uint32_t slot = on.fake.calls()[0].token.slot;
  on.fake.fail(Operation::change, GetParam());
  watch.set_interest(Interest::writable);
  on.reactor.poll();
  on.fake.close(5);

  std::error_code error;
  watch.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  EXPECT_TRUE(watch);
  Watch next = on.watch(5, Interest::readable, log, "new");
  EXPECT_NE(on.fake.calls().back().token.slot, slot);
  on.fake.forget_calls();
  watch.reset();
  EXPECT_EQ(on.fake.calls().size(), 0u) << "there is nothing left to remove";
  on.fake.set_ready(5, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"new"});
}

INSTANTIATE_TEST_SUITE_P(, ClosedAndChanged,
                         testing::Values(std::errc::bad_file_descriptor,
                                         std::errc::no_such_file_or_directory),
                         [](const auto& row) {
                           return row.param == std::errc::bad_file_descriptor ? "ByItsNumber"
                                                                              : "ByTheSet";
                         });

TEST(ClosedUnderItsWatch, WithADuplicateAliveIsFoundOutBeforeLong) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  on.fake.close_but_keep_duplicate(5);
  for (int i = 0; i < 1000; ++i) on.reactor.poll();
  EXPECT_LE(log.size(), 256u);
  EXPECT_EQ(on.fake.resets(), 1);
  std::error_code error;
  watch.set_interest(Interest::writable, error);
  EXPECT_EQ(error, Errc::watch_closed);
}

TEST(ClosedUnderItsWatch, IsAskedAboutRarelyAndHarmlessly) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  on.fake.forget_calls();
  for (int i = 0; i < 1000; ++i) on.reactor.poll();
  EXPECT_EQ(log.size(), 1000u);
  EXPECT_LE(on.fake.calls().size(), 4u);
  for (const FakeCall& call : on.fake.calls()) EXPECT_EQ(call.from, call.to);
}

TEST(Additions, GoToTheKernelAtOnce) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable | Interest::writable, nothing);
  ASSERT_EQ(on.fake.calls().size(), 1u);
  EXPECT_EQ(on.fake.calls()[0].handle, 5);
  EXPECT_EQ(on.fake.calls()[0].from, RawInterest::none);
  EXPECT_EQ(on.fake.calls()[0].to, RawInterest::in | RawInterest::out);
}

TEST(Additions, ThatAreRefusedTellTheCallerAndChangeNothing) {
  FakeReactor on;
  for (const std::errc refusal :
       {std::errc::not_enough_memory, std::errc::no_space_on_device,
        std::errc::operation_not_permitted, std::errc::bad_file_descriptor}) {
    on.fake.fail(Operation::add, refusal);
    std::error_code error;
    auto capture = std::make_shared<int>();
    Watch watch = on.reactor.watch(
        5, Interest::readable, [capture](Readiness) {}, error);
    EXPECT_EQ(error, refusal);
    EXPECT_FALSE(watch);
    EXPECT_EQ(capture.use_count(), 1);
    on.fake.fail(Operation::add, refusal);
    EXPECT_EQ(thrown_by([&] { watch = on.reactor.watch(5, Interest::readable, nothing); }),
              refusal);
  }
  EXPECT_EQ(on.fake.count(Operation::remove), 0);
  on.fake.forget_calls();
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  EXPECT_EQ(on.fake.calls()[0].token.slot, 0u) << "no slot was lost";
  on.fake.set_ready(5, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"called"});
}

TEST(Additions, OfAnInvalidNumberAreRefused) {
  FakeReactor on;
  std::error_code error;
  EXPECT_FALSE(on.reactor.watch(no_handle, Interest::readable, nothing, error));
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  EXPECT_FALSE(on.reactor.watch(no_handle, Interest::none, nothing, error));
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  EXPECT_FALSE(on.reactor.watch_stream(no_handle, Interest::readable, nothing, error));
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
}

TEST(Additions, OfAWatchedHandleAreRefused) {
  FakeReactor on;
  const Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  Log log;
  Watch watch = on.watch(handle, Interest::readable, log, "first");
  std::error_code error;
  for (const Interest interest : {Interest::readable, Interest::none}) {
    EXPECT_FALSE(on.reactor.watch(handle, interest, nothing, error)) << to_string(interest);
    EXPECT_EQ(error, std::errc::file_exists) << to_string(interest);
  }
  watch.set_interest(Interest::none);
  on.reactor.poll();
  EXPECT_FALSE(on.reactor.watch(handle, Interest::readable, nothing, error)) << "outside the set";
  EXPECT_EQ(error, std::errc::file_exists);
  watch.set_interest(Interest::readable);
  on.fake.set_ready(handle, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"first"}) << "the first watch is none the worse";
}

TEST(Additions, OfPeerClosedAreRefusedForAReadinessWatch) {
  FakeReactor on;
  std::error_code error;
  EXPECT_FALSE(on.reactor.watch(5, Interest::peer_closed, nothing, error));
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(on.fake.calls().size(), 0u);
}

TEST(Additions, OfANumberThatWasClosedUnderItsWatchEndTheOldOne) {
  FakeReactor on;
  Log log;
  Watch old = on.watch(5, Interest::readable, log, "old");
  on.fake.close(5);
  Watch next = on.watch(5, Interest::readable, log, "new");
  on.fake.set_ready(5, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"new"});
  std::error_code error;
  old.set_interest(Interest::writable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  old.reset();
  on.reactor.poll();
  EXPECT_EQ(log, (Log{"new", "new"})) << "the old watch takes nothing of the new one's with it";
}

TEST(Additions, OfANumberThatTheSetStillHasRebuildIt) {
  FakeReactor on;
  Watch other = on.reactor.watch(6, Interest::writable, nothing);
  on.fake.fail(Operation::add, std::errc::file_exists);
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  EXPECT_EQ(on.fake.resets(), 1);
  EXPECT_EQ(on.fake.interest(5), RawInterest::in);
  EXPECT_EQ(on.fake.interest(6), RawInterest::out);
}

TEST(Additions, OfANumberThatTheSetStillHasFailWithTheRebuilding) {
  FakeReactor on;
  on.fake.fail(Operation::add, std::errc::file_exists);
  on.fake.fail(Operation::reset, std::errc::too_many_files_open);
  std::error_code error;
  EXPECT_FALSE(on.reactor.watch(5, Interest::readable, nothing, error));
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

TEST(Removals, GoToTheKernelAtOnce) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  const Token token = on.fake.calls()[0].token;
  on.fake.forget_calls();
  watch.reset();
  ASSERT_EQ(on.fake.calls().size(), 1u);
  EXPECT_EQ(on.fake.calls()[0].from, RawInterest::in);
  EXPECT_EQ(on.fake.calls()[0].to, RawInterest::none);
  EXPECT_EQ(on.fake.calls()[0].token, token);
  EXPECT_FALSE(watch);
  watch.reset();
  EXPECT_EQ(on.fake.calls().size(), 1u);
}

TEST(Removals, ComeWithTheEndOfTheWatchObject) {
  FakeReactor on;
  { const Watch watch = on.reactor.watch(5, Interest::readable, nothing); }
  EXPECT_EQ(on.fake.interest(5), RawInterest::none);
  Watch watch = on.reactor.watch(5, Interest::readable, nothing);
  watch = on.reactor.watch(6, Interest::readable, nothing);
  EXPECT_EQ(on.fake.interest(5), RawInterest::none);
  EXPECT_EQ(on.fake.interest(6), RawInterest::in);
  Watch moved = std::move(watch);
  EXPECT_EQ(on.fake.count(Operation::remove), 2);
  EXPECT_TRUE(moved);
}

TEST(Removals, ThatFailAreMadeGoodByARebuilding) {
  FakeReactor on;
  Log log;
  Watch watch = on.watch(5, Interest::readable, log, "called");
  on.fake.set_ready(5, RawReady::in);
  on.fake.fail(Operation::remove, std::errc::not_enough_memory);
  watch.reset();
  EXPECT_EQ(on.fake.interest(5), RawInterest::in);
  on.reactor.poll();
  EXPECT_EQ(on.fake.resets(), 1);
  EXPECT_EQ(on.fake.interest(5), RawInterest::none);
  EXPECT_EQ(log, Log{});
}

/// Three watches, of which the first was unwatched after its descriptor was closed, with a
/// duplicate alive: the kernel goes on reporting it.
struct StaleReport : testing::Test {
  FakeReactor on;
  Log log;
  Watch first = on.watch(5, Interest::readable, log, "first");
  Watch second = on.watch(6, Interest::readable, log, "second");
  Watch third = on.watch(7, Interest::readable | Interest::writable, log, "third");
  Token second_token = on.fake.calls()[1].token;

  void SetUp() override {
    on.fake.set_ready(5, RawReady::in);
    on.fake.close_but_keep_duplicate(5);
    first.reset();
    on.fake.forget_calls();
  }
};

TEST_F(StaleReport, RebuildsTheSetOnceWithEverythingElse) {
  on.reactor.poll();
  EXPECT_EQ(on.fake.resets(), 1);
  EXPECT_EQ(on.fake.interest(6), RawInterest::in);
  EXPECT_EQ(on.fake.interest(7), RawInterest::in | RawInterest::out);
  EXPECT_EQ(on.fake.count(Operation::add), 2);
  EXPECT_EQ(log, Log{});
  for (int i = 0; i < 3; ++i) on.reactor.poll();
  EXPECT_EQ(on.fake.resets(), 1);
  EXPECT_EQ(on.fake.count(Operation::add), 2);
  on.fake.set_ready(6, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"second"}) << "tokens stay what they were";
  EXPECT_EQ(on.fake.count(Operation::change), 0);
}

TEST_F(StaleReport, DoesNotKeepBackTheReportsBesideIt) {
  on.fake.set_ready(6, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"second"});
  EXPECT_EQ(on.fake.resets(), 1);
}

TEST_F(StaleReport, TakesWithItWhatWasClosedUnderItsWatch) {
  on.fake.set_ready(6, RawReady::in);
  on.fake.close_but_keep_duplicate(6);
  on.reactor.poll();
  EXPECT_EQ(log, Log{}) << "what was reported of it beside is not its own any more";
  EXPECT_EQ(on.fake.interest(6), RawInterest::none);
  EXPECT_EQ(on.fake.count(Operation::add), 1);
  std::error_code error;
  second.set_interest(Interest::writable, error);
  EXPECT_EQ(error, Errc::watch_closed);
}

TEST_F(StaleReport, DoesNotPutBackWhatIsOutsideTheSet) {
  third.set_interest(Interest::none);
  on.reactor.poll();
  on.reactor.poll();
  EXPECT_EQ(on.fake.resets(), 1);
  EXPECT_EQ(on.fake.interest(7), RawInterest::none);
}

TEST_F(StaleReport, WhoseRebuildingFailsLeavesRunWithTheErrorAndLosesNothing) {
  on.fake.set_ready(6, RawReady::in);
  on.fake.fail(Operation::reset, std::errc::too_many_files_open);
  std::error_code error;
  on.reactor.run(error);
  EXPECT_EQ(error, std::errc::too_many_files_open);
  on.fake.set_ready(7, RawReady::out);
  on.reactor.poll(error);
  EXPECT_FALSE(error);
  EXPECT_EQ(on.fake.resets(), 2);
  on.fake.forget_calls();
  on.fake.set_ready(6, RawReady::none);
  on.reactor.poll(error);
  EXPECT_EQ(on.fake.resets(), 2);
  EXPECT_EQ(on.fake.calls().size(), 0u);
  EXPECT_EQ(std::count(log.begin(), log.end(), "second"), 2);
  EXPECT_EQ(std::count(log.begin(), log.end(), "third"), 2);
}

TEST_F(StaleReport, PutsBackLaterWhatTheNewSetRefusesNow) {
  on.fake.fail(Operation::add, std::errc::not_enough_memory);
  on.reactor.poll();
  EXPECT_EQ(on.fake.interest(6), RawInterest::none);
  EXPECT_EQ(on.fake.interest(7), RawInterest::in | RawInterest::out);
  on.fake.set_ready(6, RawReady::in);
  on.reactor.run_for(1ms);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"second"});
}

TEST_F(StaleReport, OfAnOldGenerationNeverReachesTheNextWatchInItsSlot) {
  on.reactor.poll();
  second.reset();
  Watch next = on.watch(6, Interest::readable, log, "next");
  EXPECT_EQ(on.fake.calls().back().token.slot, second_token.slot);
  EXPECT_NE(on.fake.calls().back().token.generation, second_token.generation);
  on.fake.report(second_token, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{});
}

TEST_F(StaleReport, OfASlotThatNeverWasIsSurvived) {
  on.reactor.poll();
  on.fake.report({0x7FFFFFFF, 3}, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{});
}

/// A stream whose peer has sent a byte and is gone. Paused, it waits outside the set.
struct Held : testing::Test {
  Pair pair = make_pair(cheapest_pair_kind());
  NativeHandle handle = pair.local.get();
  FakeReactor on;
  Log log;
  StreamWatch watch = on.watch_stream(handle, Interest::none, log);

  void SetUp() override {
    write_bytes(pair.peer, "x");
    pair.peer.close();
    on.fake.set_ready(handle, RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup);
    on.reactor.poll();
    ASSERT_EQ(log, Log{});
    ASSERT_EQ(on.fake.interest(handle), RawInterest::none);
  }

  void resume_and_read_all() {
    watch.set_interest(Interest::readable);
    on.reactor.poll();
    drain(pair.local);
    on.reactor.poll();
  }
};

TEST_F(Held, IsPutBackAtOnceWhenReadingResumes) {
  watch.set_interest(Interest::writable);
  EXPECT_EQ(on.fake.interest(handle), RawInterest::none);
  watch.set_interest(Interest::readable);
  EXPECT_EQ(on.fake.interest(handle), RawInterest::in | RawInterest::rdhup);
}

TEST_F(Held, StaysSoWhenItCannotBePutBack) {
  on.fake.fail(Operation::add, std::errc::not_enough_memory);
  std::error_code error;
  watch.set_interest(Interest::readable, error);
  EXPECT_EQ(error, std::errc::not_enough_memory);
  EXPECT_EQ(watch.interest(), Interest::none);
  watch.set_interest(Interest::writable);
  on.reactor.run_for(1s);
  EXPECT_EQ(on.fake.interest(handle), RawInterest::none);
  EXPECT_EQ(log, Log{});
  resume_and_read_all();
  EXPECT_EQ(log, (Log{"readable", "end_of_stream hangup"}));
  EXPECT_EQ(on.fake.count(Operation::add), 3);
}

TEST_F(Held, IsStillWatched) {
  std::error_code error;
  EXPECT_FALSE(on.reactor.watch_stream(handle, Interest::readable, nothing, error));
  EXPECT_EQ(error, std::errc::file_exists);
}

TEST_F(Held, EndsAsAnyOtherAndThenReceivesNothing) {
  resume_and_read_all();
  ASSERT_EQ(log, (Log{"readable", "end_of_stream hangup"}));
  EXPECT_EQ(on.fake.interest(handle), RawInterest::none);
  on.fake.forget_calls();
  std::error_code error = Errc::watch_closed;
  watch.set_interest(Interest::readable | Interest::writable, error);
  EXPECT_FALSE(error) << "after hangup it has no effect";
  on.reactor.poll();
  EXPECT_EQ(on.fake.calls().size(), 0u);
  EXPECT_TRUE(watch);
}

TEST_F(Held, LeavesItsNumberToTheNextAfterHangup) {
  resume_and_read_all();
  Watch next = on.watch(handle, Interest::readable, log, "next");
  watch.reset();
  on.reactor.poll();
  EXPECT_EQ(log.back(), "next");
}

TEST(StreamWatches, SayHowSoonPeerClosedComes) {
  FakeReactor delivered{FakeBackend::native, true};
  FakeReactor looking{FakeBackend::emulated, false};
  const Pair tcp = make_pair(PairKind::tcp4);
  Log log;
  const auto latency = [&](FakeReactor& on, const Pair& pair) {
    return on.watch_stream(pair.local.get(), Interest::peer_closed, log).peer_closed_latency();
  };
  EXPECT_EQ(latency(delivered, tcp), PeerClosedLatency::immediate);
  EXPECT_EQ(latency(looking, tcp), PeerClosedLatency::probed);
  if (!is_available(PairKind::unix_stream))
    return RecordProperty("not_played", "no AF_UNIX streams and pipes here");
  const Pair local = make_pair(PairKind::unix_stream);
  const Pair pipe = make_pair(PairKind::pipe);
  for (const Pair* pair : {&local, &pipe})
    EXPECT_EQ(latency(delivered, *pair), PeerClosedLatency::immediate);
  EXPECT_EQ(latency(looking, local), PeerClosedLatency::after_drain);
  EXPECT_EQ(latency(looking, pipe), PeerClosedLatency::immediate);
}

TEST(ReactorWithoutABackend, SaysSo) {
  std::error_code error;
  Reactor reactor{std::unique_ptr<Backend>{}, {}, error};
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(reactor.backend_name(), "");
  EXPECT_EQ(reactor.backend_reports(), RawReady::none);
  EXPECT_FALSE(reactor.watch(5, Interest::readable, nothing, error));
  EXPECT_EQ(error, Errc::reactor_closed);
  EXPECT_EQ(reactor.run(error), 0u);
  EXPECT_EQ(error, Errc::reactor_closed);
  reactor.stop();
  reactor.wake();
  EXPECT_EQ(thrown_by([] { Reactor refused{std::unique_ptr<Backend>{}}; }),
            std::errc::invalid_argument);
}

TEST(WatchesThatOutliveTheirReactor, ReceiveNothingAndSaySo) {
  std::optional<FakeReactor> on{std::in_place};
  auto capture = std::make_shared<int>();
  Watch watch = on->reactor.watch(5, Interest::readable, [capture](Readiness) {});
  on.reset();
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(watch);
  EXPECT_EQ(watch.interest(), Interest::none);
  std::error_code error;
  watch.set_interest(Interest::writable, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  watch.reset();
  watch.set_interest(Interest::writable, error);
  EXPECT_EQ(error, Errc::watch_closed);
}

}  // namespace

}  // namespace pollux::support
