// SPDX-License-Identifier: MIT
// Sockets that are somebody's address: they listen, or take datagrams from anybody, and others want
// the address when they are done. Goal: it is free as soon as its socket is closed, by unwatching
// and closing, by the mistake of rule 11, by the end of the process, however that comes.
#include <algorithm>
#include <memory>
#include <vector>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class Addresses : public OnEachKind {
 protected:
  /// One that listens, and one that takes datagrams.
  template <class Test>
  void each(Test test) {
    for (const bool listens : {true, false}) {
      SCOPED_TRACE(listens ? "a listener" : "a mailbox");
      test(listens ? make_listener(kind()) : make_mailbox(kind()));
    }
  }
  Watch watch(const Handle& handle) {
    return reactor().watch(handle.get(), Interest::readable, [this](Readiness) { ++delivered_; });
  }

  int delivered_ = 0;
};

TEST_P(Addresses, AreFreeWhenTheWatchHasEndedAndTheSocketIsClosed) {
  each([this](Handle bound) {
    const BoundAddress address{bound};
    Watch local = watch(bound);
    EXPECT_TRUE(sleeps());
    local.reset();
    bound.close();
    EXPECT_TRUE(address.is_free());
  });
}

TEST_P(Addresses, AreFreeWhenTheSocketIsClosedUnderItsWatch) {
  each([this](Handle bound) {
    const BoundAddress address{bound};
    const Watch local = watch(bound);
    EXPECT_TRUE(sleeps());
    bound.close();
    EXPECT_TRUE(address.is_free());
    EXPECT_TRUE(sleeps());
  });
}

TEST_P(Addresses, AreFreeWhenTheProcessHasEnded) {
  if (!can_fork()) return RecordProperty("not_played", "no fork here");
  each([this](Handle bound) {
    const BoundAddress address{bound};
    for (const bool killed : {false, true}) {
      SCOPED_TRACE(killed ? "killed" : "ended");
      if (!bound) bound = address.bind();
      ASSERT_TRUE(bound);
      run_forked([&] {
        Reactor loop{make_contestant(backend())};
        const Watch local = loop.watch(bound.get(), Interest::readable, [](Readiness) {});
        waits_in(glance, loop);
        end_process(killed);
        return true;
      });
      bound.close();
      EXPECT_TRUE(address.is_free());
    }
  });
}

TEST_P(Addresses, OfASocketThatADuplicateKeepsAliveNeverTurnTheLoop) {
  for (const bool unwatched : {false, true}) {
    SCOPED_TRACE(unwatched);
    Handle bound = make_listener(kind());
    Handle innocent = make_listener(kind());
    Watch local = watch(bound);
    const Watch bystander = watch(innocent);
    EXPECT_TRUE(sleeps());
    const Handle copy = duplicate(bound);
    bound.close();
    if (unwatched) local.reset();
    const Handle client = start_connect(kind(), copy);
    for (int i = 0; i < 600; ++i) reactor().poll();
    EXPECT_TRUE(sleeps());
    delivered_ = 0;
    const Handle other = start_connect(kind(), innocent);
    EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ > 0; }));
    const Handle accepted = accept_one(innocent);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Addresses, OfASocketThatADuplicateKeepsAliveAreDeliveredToNobodyElse) {
  Handle old = make_listener(kind());
  Watch first = reactor().watch(old.get(), Interest::readable, [](Readiness) { FAIL(); });
  EXPECT_TRUE(sleeps());
  const Handle copy = duplicate(old);
  old.close();
  first.reset();
  const Handle fresh = make_listener(kind());
  const Watch second = watch(fresh);
  EXPECT_TRUE(sleeps());
  const Handle client = start_connect(kind(), copy);
  for (int i = 0; i < 10; ++i) reactor().poll();
  sleeps();
  EXPECT_EQ(delivered_, 0);
  const Handle other = start_connect(kind(), fresh);
  EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ > 0; }));
}

TEST_P(Addresses, AreDeliveredToNobodyWhoHasUnwatchedThem) {
  const Handle bound = make_listener(kind());
  const Handle other = make_listener(kind());
  const Watch bystander = watch(other);
  Watch local = watch(bound);
  EXPECT_TRUE(sleeps());
  local.reset();
  const Handle client = start_connect(kind(), bound);
  EXPECT_TRUE(sleeps());
}

TEST_P(Addresses, AreWatchedByAProcessAndItsChildEachByItself) {
  if (!can_fork()) return RecordProperty("not_played", "no fork here");
  const Handle bound = make_listener(kind());
  Watch local = watch(bound);
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(run_forked([&] {
    reactor().after_fork();
    waits_in(glance, reactor());
    local.set_interest(Interest::writable);
    waits_in(glance, reactor());
    local.reset();
    return delivered_ == 0;
  }));
  const Handle client = start_connect(kind(), bound);
  EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ > 0; }));
}

TEST_P(Addresses, AreDeliveredForAsLongAsSomebodyWaits) {
  const Handle bound = make_listener(kind());
  Watch local = watch(bound);
  EXPECT_TRUE(sleeps());
  const Handle first = start_connect(kind(), bound);
  const Handle second = start_connect(kind(), bound);
  EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ >= 3; }));
  const Handle accepted = accept_one(bound);
  delivered_ = 0;
  EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ >= 3; }));
  local.set_interest(Interest::none);
  EXPECT_TRUE(sleeps());
  delivered_ = 0;
  local.set_interest(Interest::readable);
  EXPECT_TRUE(run_until(reactor(), [this] { return delivered_ >= 3; }));
  const Handle last = accept_one(bound);
  EXPECT_TRUE(sleeps());
}

TEST_P(Addresses, ManyAreDeliveredInTurn) {
  constexpr std::size_t many = 150;
  std::vector<Handle> bound, clients;
  std::vector<Watch> watches;
  std::vector<bool> delivered(many);
  for (std::size_t i = 0; i < many; ++i) {
    bound.push_back(make_listener(kind()));
    watches.push_back(reactor().watch(bound[i].get(), Interest::readable,
                                      [&delivered, i](Readiness) { delivered[i] = true; }));
  }
  EXPECT_TRUE(sleeps());
  for (const Handle& listener : bound) clients.push_back(start_connect(kind(), listener));
  const auto all = [&] { return std::ranges::count(delivered, true) == static_cast<long>(many); };
  EXPECT_TRUE(run_until(reactor(), all));
}

POLLUX_ON_EACH_KIND(Addresses, sockets);

}  // namespace
}  // namespace pollux::conformance
