// SPDX-License-Identifier: MIT
// The boundary itself: what pollux/backend.hpp asks of a backend, without the core above it. Goal:
// every sentence there that can be seen from outside; where a new backend starts.
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class ABackend : public OnEachBackend {
 protected:
  void SetUp() override {
    OnEachBackend::SetUp();
    backend_ = make_contestant(GetParam());
  }
  void TearDown() override {
    backend_.reset();
    OnEachBackend::TearDown();
  }

  std::error_code add(const Handle& handle, RawInterest interest, Token named) {
    return backend_->set_interest(handle.get(), RawInterest::none, interest, named);
  }

  /// What is reported for `named` by waits that go on until it is `wanted`, or for a while.
  RawReady reported(Token named, RawReady wanted) {
    RawReady ready = RawReady::none;
    for (int i = 0; i < (wanted == RawReady::none ? 5 : 500); ++i) {
      std::array<RawEvent, 16> out;
      const WaitResult result =
          backend_->wait(out, wanted == RawReady::none ? Timeout::zero() : Timeout{10ms});
      EXPECT_FALSE(result.error);
      for (std::size_t at = 0; at < result.count; ++at) {
        EXPECT_NE(out[at].ready, RawReady::none) << "a report of nothing";
        if (out[at].token == named) ready |= out[at].ready;
      }
      if (wanted != RawReady::none && (ready | wanted) == ready) break;
    }
    return ready;
  }
  void expect_reported(Token named, RawReady wanted) {
    EXPECT_EQ(static_cast<int>(reported(named, wanted)), static_cast<int>(wanted));
  }

  /// Whether a wait comes back, as it must after a wake().
  bool comes_back() { return comes_back_within(*backend_, 10s); }
  /// Whether waits last, as they must where nobody wakes them; one may return early for nothing.
  bool sleeps() {
    for (int i = 0; i < 20; ++i) {
      if (!comes_back_within(*backend_, 10ms)) return true;
    }
    return false;
  }

  static constexpr Token token{7, 0xFFFFFFFF};
  std::unique_ptr<Backend> backend_;
};

TEST_P(ABackend, HasTheNameOfItsRow) {
  EXPECT_EQ(backend_->name(), GetParam());
}

TEST_P(ABackend, CanBeBelievedOnInAndOut) {
  EXPECT_TRUE(any(backend_->reports(), RawReady::in));
  EXPECT_TRUE(any(backend_->reports(), RawReady::out));
}

TEST_P(ABackend, ReportsAConditionForAsLongAsItHolds) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  expect_reported(token, RawReady::none);
  write_bytes(pair.peer, "abc");
  for (int i = 0; i < 3; ++i) expect_reported(token, RawReady::in);
  drain(pair.local);
  reported(token, RawReady::none);  // one report may have been under way
  expect_reported(token, RawReady::none);
  write_bytes(pair.peer, "abc");
  expect_reported(token, RawReady::in);
}

TEST_P(ABackend, ReportsOnlyWhatWasAskedFor) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  ASSERT_FALSE(add(pair.local, RawInterest::out, token));
  expect_reported(token, RawReady::out);
  ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::out, RawInterest::in, token));
  reported(token, RawReady::none);
  expect_reported(token, RawReady::in);
  ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::in,
                                      RawInterest::in | RawInterest::out, token));
  expect_reported(token, RawReady::in | RawReady::out);
  ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::in | RawInterest::out,
                                      RawInterest::hup, token));
  reported(token, RawReady::none);
  expect_reported(token, RawReady::none);
}

TEST_P(ABackend, ReportsAFailureToARegistrationThatAskedForNothingWhereItKnowsErr) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(pair.local, RawInterest::hup, token));
  expect_reported(token, RawReady::none);
  reset_by_peer(pair);
  if (!any(backend_->reports(), RawReady::err)) return;  // the core asks for more, then
  bool failed = false;
  for (int i = 0; i < 500 && !failed; ++i) {
    std::array<RawEvent, 4> out;
    const auto result = backend_->wait(out, Timeout{10ms});
    failed = result.count > 0 && any(out[0].ready, RawReady::hup | RawReady::err);
  }
  EXPECT_TRUE(failed);
}

TEST_P(ABackend, ReportsTheEndOfBothDirectionsByHupWhereItKnowsThat) {
  Pair pair = make_pair(cheapest_pair_kind());
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  shutdown_write(pair.peer);
  if (any(backend_->reports(), RawReady::hup)) {
    expect_reported(token, RawReady::in);
    pair.peer.close();
    expect_reported(token, RawReady::in | RawReady::hup);
  } else {
    pair.peer.close();
    EXPECT_TRUE(any(reported(token, RawReady::in), RawReady::in));
  }
}

TEST_P(ABackend, ReportsNothingOfWhatWasRemovedAfterItHungUp) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  reset_by_peer(pair);
  EXPECT_TRUE(any(reported(token, RawReady::in), RawReady::in));
  ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::in, RawInterest::none, token));
  reported(token, RawReady::none);  // one report may have been under way
  expect_reported(token, RawReady::none);
}

TEST_P(ABackend, ReportsThePeersFinAndOurOwnShutdownByInAndRdhupWhereItKnowsThem) {
  // IN | RDHUP, 0x2001 in epoll's numbers; without that bit, IN alone.
  const bool knows = any(backend_->reports(), RawReady::rdhup);
  for (const bool own : {false, true}) {
    const Pair pair = make_pair(PairKind::tcp4);
    const RawInterest interest = knows ? RawInterest::in | RawInterest::rdhup : RawInterest::in;
    ASSERT_FALSE(add(pair.local, interest, token));
    own ? shutdown_read(pair.local) : shutdown_write(pair.peer);
    const RawReady due = knows ? RawReady::in | RawReady::rdhup : RawReady::in;
    const bool silent = own && !system_facts().own_shutdown_is_reported;
    expect_reported(token, silent ? RawReady::none : due);
    ASSERT_FALSE(backend_->set_interest(pair.local.get(), interest, RawInterest::none, token));
  }
}

TEST_P(ABackend, ReportsNothingOfWhatWasRemoved) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  expect_reported(token, RawReady::in);
  ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::in, RawInterest::none, token));
  expect_reported(token, RawReady::none);
  const Token next{token.slot, 0};
  ASSERT_FALSE(add(pair.local, RawInterest::in, next));
  expect_reported(next, RawReady::in);
}

TEST_P(ABackend, RefusesASecondRegistrationAndKeepsTheFirst) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  EXPECT_EQ(add(pair.local, RawInterest::out, {8, 1}), std::errc::file_exists);
  write_bytes(pair.peer, "abc");
  expect_reported(token, RawReady::in);
}

TEST_P(ABackend, RefusesWhatIsNotOpenOrCannotBeWatched) {
  for (const NativeHandle handle : never_open()) {
    EXPECT_EQ(backend_->set_interest(handle, RawInterest::none, RawInterest::in, token),
              std::errc::bad_file_descriptor);
  }
  const RegularFile file;
  EXPECT_EQ(backend_->set_interest(file.get(), RawInterest::none, RawInterest::in, token),
            std::errc::operation_not_permitted);
  expect_reported(token, RawReady::none);
}

TEST_P(ABackend, HasLostWhatWasClosedAndTakesTheNumberAnew) {
  Pair pair = make_pair(PairKind::tcp4);
  Pair fresh = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  const NativeHandle number = pair.local.get();
  pair.local.close();
  const Handle reused = duplicate_at(fresh.local, number);
  ASSERT_TRUE(reused);
  const Token next{9, 3};
  ASSERT_FALSE(add(reused, RawInterest::in, next));
  write_bytes(fresh.peer, "abc");
  write_bytes(pair.peer, "for nobody");
  expect_reported(next, RawReady::in);
  expect_reported(token, RawReady::none);
}

TEST_P(ABackend, IsWokenByAWakeBeforeTheWaitAndOnlyOnce) {
  EXPECT_TRUE(sleeps());
  backend_->wake();
  backend_->wake();
  EXPECT_TRUE(comes_back());
  EXPECT_TRUE(sleeps());
  backend_->wake();
  EXPECT_TRUE(comes_back());
  EXPECT_TRUE(sleeps());
}

TEST_P(ABackend, LosesNoWakeOfAnotherThread) {
  constexpr int wakes = 1000;
  std::atomic<int> requested{0};
  std::atomic<int> seen{0};
  const Thread thread{[&] {
    for (int i = 1; i <= wakes; ++i) {
      requested = i;
      backend_->wake();
      while (seen < i) std::this_thread::yield();
    }
  }};
  // The request is made before its wake, so that each wait that begins without it is woken for it.
  for (int i = 1; i <= wakes; ++i) {
    while (requested < i) EXPECT_TRUE(comes_back());
    seen = i;
  }
}

TEST_P(ABackend, IsWokenWithoutATimeLimit) {
  // That the wait ends is all that can be seen of it: the test's own limit of time is the check.
  std::array<RawEvent, 1> out;
  backend_->wake();
  EXPECT_EQ(backend_->wait(out, Timeout::infinite()).error, 0);
}

TEST_P(ABackend, WithRoomForOneReportStarvesNobody) {
  std::vector<Pair> pairs;
  std::array<int, 8> times{};
  for (std::uint32_t i = 0; i < times.size(); ++i) {
    pairs.push_back(make_pair(cheapest_pair_kind()));
    write_bytes(pairs.back().peer, "abc");
    ASSERT_FALSE(add(pairs.back().local, RawInterest::in, {i, 1}));
  }
  for (int i = 0; i < 80; ++i) {
    std::array<RawEvent, 1> out;
    if (backend_->wait(out, Timeout{10ms}).count == 1) ++times[out[0].token.slot];
  }
  EXPECT_GE(*std::min_element(times.begin(), times.end()), 4);
}

TEST_P(ABackend, ResetForgetsEveryRegistration) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  ASSERT_FALSE(backend_->reset());
  expect_reported(token, RawReady::none);
  ASSERT_FALSE(add(pair.local, RawInterest::in, {8, 1}));
  expect_reported({8, 1}, RawReady::in);
  ASSERT_FALSE(backend_->reset());
  EXPECT_TRUE(sleeps());
  backend_->wake();
  EXPECT_TRUE(comes_back());
}

TEST_P(ABackend, AsksForEdgesOnlyWhereItHasThem) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  const auto error = add(pair.local, RawInterest::in | RawInterest::edge, token);
  if (error) {
    EXPECT_EQ(error, std::errc::operation_not_supported);
    expect_reported(token, RawReady::none);
    return;
  }
  expect_reported(token, RawReady::in);
  expect_reported(token, RawReady::none);
  write_bytes(pair.peer, "more");
  expect_reported(token, RawReady::in);
}

TEST_P(ABackend, NeitherClosesNorConfiguresWhatItWatches) {
  const Pair pair = make_pair(PairKind::tcp4);
  for (const bool blocking : {true, false}) {
    set_blocking(pair.local, blocking);
    const int before = settings_of(pair.local);
    ASSERT_FALSE(add(pair.local, RawInterest::in | RawInterest::out, token));
    expect_reported(token, RawReady::out);
    EXPECT_EQ(settings_of(pair.local), before);
    ASSERT_FALSE(backend_->set_interest(pair.local.get(), RawInterest::in | RawInterest::out,
                                        RawInterest::none, token));
    EXPECT_EQ(settings_of(pair.local), before);
  }
  ASSERT_FALSE(add(pair.local, RawInterest::in, token));
  backend_.reset();
  EXPECT_EQ(write_bytes(pair.local, "still open"), 10);
}

POLLUX_ON_EACH_BACKEND(ABackend);

}  // namespace
}  // namespace pollux::conformance
