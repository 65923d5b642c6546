// SPDX-License-Identifier: MIT
// Handlers that take their watch. Goal: what they do to it is done to the registration, wherever
// its owner is by then, and nothing has two owners.
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AHandlerWithItsWatch : public OnEachKind {
 protected:
  void SetUp() override {
    OnEachKind::SetUp();
    pair_ = make_pair(kind());
    write_bytes(pair_->peer, "abc");
  }
  void TearDown() override {
    pair_.reset();
    OnEachKind::TearDown();
  }

  template <class F>
  StreamWatch watch(F handler, Interest interest = Interest::readable) {
    return reactor().watch_stream(pair_->local.get(), interest, std::move(handler));
  }

  std::optional<Pair> pair_;
  int calls_ = 0;
};

TEST_P(AHandlerWithItsWatch, EndsItAfterTheOwnerHasMovedIntoAContainer) {
  const auto capture = std::make_shared<int>();
  std::map<int, StreamWatch> owners;
  owners.emplace(1, watch([this, capture](StreamWatch& watch, const StreamEvent&) {
                   ++calls_;
                   watch.reset();
                   EXPECT_FALSE(watch);
                   EXPECT_GT(capture.use_count(), 1) << "the handler is still running";
                 }));
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_FALSE(owners.at(1));
  std::error_code error;
  owners.at(1).set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  EXPECT_FALSE(owners.at(1).close());
}

TEST_P(AHandlerWithItsWatch, LeavesItToTheOwnerOtherwise) {
  const StreamWatch owner = watch([this](StreamWatch& watch, const StreamEvent&) {
    ++calls_;
    EXPECT_TRUE(watch);
    EXPECT_EQ(watch.interest(), Interest::readable);
  });
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_TRUE(owner);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(calls_, 2);
}

TEST_P(AHandlerWithItsWatch, ClosesTheDescriptor) {
  StreamWatch owner =
      watch([](StreamWatch& watch, const StreamEvent&) { EXPECT_TRUE(watch.close()); });
  const StreamWatch moved = std::move(owner);
  static_cast<void>(pair_->local.release());
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_FALSE(moved);
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerWithItsWatch, ChangesItsInterest) {
  StreamWatch owner =
      watch([](StreamWatch& watch, const StreamEvent&) { watch.set_interest(Interest::none); });
  const StreamWatch moved = std::move(owner);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(moved.interest(), Interest::none);
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerWithItsWatch, AsksAnewForOneEvent) {
  constexpr Interest once = Interest::readable | Interest::one_shot;
  const StreamWatch owner = watch(
      [this](StreamWatch& watch, const StreamEvent&) {
        EXPECT_EQ(watch.interest(), Interest::none);
        if (++calls_ < 3) watch.set_interest(once);
      },
      once);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerWithItsWatch, MayDestroyTheOwnerAndThenHoldsNothing) {
  auto owner = std::make_unique<StreamWatch>();
  *owner = watch([&](StreamWatch& watch, const StreamEvent&) {
    owner.reset();
    EXPECT_FALSE(watch);
    std::error_code error;
    watch.set_interest(Interest::none, error);
    EXPECT_EQ(error, Errc::watch_closed);
    EXPECT_FALSE(watch.close());
    watch.reset();
  });
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerWithItsWatch, CannotMoveItAwayFromItsOwner) {
  StreamWatch kept;
  const StreamWatch owner = watch([&](StreamWatch& watch, const StreamEvent&) {
    ++calls_;
    kept = std::move(watch);
    EXPECT_FALSE(kept);
    EXPECT_TRUE(watch);
  });
  EXPECT_EQ(reactor().run_once(5s), 1u);
  kept.reset();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(calls_, 2);
}

TEST_P(AHandlerWithItsWatch, WhoMovesAnotherIntoItEndsBoth) {
  Pair other = make_pair(kind());
  write_bytes(other.peer, "abc");
  const auto capture = std::make_shared<int>();
  const StreamWatch owner = watch([&](StreamWatch& watch, const StreamEvent&) {
    watch = reactor().watch_stream(other.local.get(), Interest::readable,
                                   [this, capture](const StreamEvent&) { ++calls_; });
    EXPECT_TRUE(watch);
  });
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_FALSE(owner);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls_, 0);
}

TEST_P(AHandlerWithItsWatch, MayThrow) {
  const auto capture = std::make_shared<int>();
  StreamWatch owner = watch([this, capture](StreamWatch& watch, const StreamEvent&) {
    if (++calls_ == 2) watch.reset();
    throw std::runtime_error{"thrown by a handler"};
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(owner);
    EXPECT_THROW(reactor().run_once(5s), std::runtime_error);
  }
  EXPECT_FALSE(owner);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerWithItsWatch, ReceivesTheEndWithIt) {
  StreamWatch owner = watch([this](StreamWatch& watch, const StreamEvent& event) {
    if (event.readable()) drain(pair_->local);
    if (event.end_of_stream()) watch.reset();
  });
  pair_->peer.close();
  EXPECT_TRUE(run_until(reactor(), [&] { return !owner; }));
}

POLLUX_ON_EACH_KIND(AHandlerWithItsWatch, streams);

class AnotherHandlerWithItsWatch : public OnEachBackend {};

TEST_P(AnotherHandlerWithItsWatch, IsThatOfAReadinessWatch) {
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  std::vector<Watch> owners;
  // Too many captures for their place.
  int numbers[8]{};
  owners.push_back(reactor().watch(pair.local.get(), Interest::readable,
                                   [numbers](Watch& watch, Readiness ready) {
                                     EXPECT_TRUE(ready.readable());
                                     if (numbers[0] == 0) watch.reset();
                                   }));
  owners.reserve(100);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_FALSE(owners.front());
  EXPECT_TRUE(sleeps());
}

TEST_P(AnotherHandlerWithItsWatch, IsThatOfATimer) {
  std::vector<Timer> owners;
  int calls = 0;
  owners.push_back(reactor().every(1ms, [&](Timer& timer) {
    if (++calls == 3) timer.reset();
  }));
  owners.reserve(100);
  EXPECT_TRUE(run_until(reactor(), [&] { return calls == 3; }));
  EXPECT_FALSE(owners.front());
  EXPECT_TRUE(sleeps());
}

TEST_P(AnotherHandlerWithItsWatch, IsThatOfASignal) {
  const int ours = signal_of_ours();
  std::vector<SignalWatch> owners;
  int signal = 0;
  owners.push_back(reactor().on_signal(ours, [&](SignalWatch& watch, int signo) {
    signal = signo;
    watch.reset();
  }));
  owners.reserve(100);
  raise_signal(ours);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(signal, ours);
  EXPECT_FALSE(owners.front());
  EXPECT_TRUE(sleeps());
}

TEST_P(AnotherHandlerWithItsWatch, IsThatOfAChild) {
  const ChildProcess child{7};
  int code = 0;
  const auto capture = std::make_shared<int>();
  ChildWatch owner =
      reactor().on_child_exit(child.pid(), [&, capture](ChildWatch& watch, const ChildExit& exit) {
        code = exit.exit_code();
        watch.reset();
      });
  const ChildWatch moved = std::move(owner);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(code, 7);
  EXPECT_FALSE(moved);
  EXPECT_EQ(capture.use_count(), 1);
}

POLLUX_ON_EACH_BACKEND(AnotherHandlerWithItsWatch);

}  // namespace
}  // namespace pollux::conformance
