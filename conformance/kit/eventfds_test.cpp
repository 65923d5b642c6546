// SPDX-License-Identifier: MIT
// Readiness watches of what only Linux has: eventfds, which share an inode. Goal: each is told
// apart from others of its kind, also under a number that was given out again (rule 11).
#include <chrono>
#include <vector>

#include <sys/eventfd.h>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AReadinessWatchOfAnEvent : public OnEachBackend {};

TEST_P(AReadinessWatchOfAnEvent, IsReadableUntilTheEventIsTaken) {
  const Handle event{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  int calls = 0;
  const Watch watch = reactor().watch(event.get(), Interest::readable, [&](Readiness readiness) {
    EXPECT_TRUE(readiness.readable());
    EXPECT_FALSE(readiness.writable());
    ++calls;
    eventfd_t value = 0;
    EXPECT_EQ(::eventfd_read(event.get(), &value), 0);
  });
  EXPECT_EQ(reactor().poll(), 0u);
  for (int i = 1; i <= 3; ++i) {
    ::eventfd_write(event.get(), 1);
    EXPECT_EQ(reactor().run_once(5s), 1u);
    EXPECT_EQ(calls, i);
  }
  EXPECT_TRUE(sleeps());
}

TEST_P(AReadinessWatchOfAnEvent, OfManyIsDistinguished) {
  std::vector<Handle> events;
  std::vector<Watch> watches;
  std::vector<std::size_t> received;
  for (std::size_t i = 0; i < 700; ++i) {
    events.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    watches.push_back(reactor().watch(events[i].get(), Interest::readable, [&, i](Readiness) {
      received.push_back(i);
      eventfd_t value = 0;
      ::eventfd_read(events[i].get(), &value);
    }));
  }
  for (const std::size_t i : {699u, 3u, 256u, 0u, 511u}) {
    ::eventfd_write(events[i].get(), 1);
    reactor().run_once(5s);
    EXPECT_EQ(received, std::vector<std::size_t>{i});
    received.clear();
  }
}

POLLUX_ON_EACH_BACKEND(AReadinessWatchOfAnEvent);

// Files that share an inode.

class AnEventfdClosedUnderItsWatch : public OnEachBackend {};

TEST_P(AnEventfdClosedUnderItsWatch, LeavesItsNumberToAnother) {
  Handle old{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  const Watch watch = reactor().watch(old.get(), Interest::readable, [](Readiness) { FAIL(); });
  settle(reactor());
  const NativeHandle number = old.get();
  old.close();
  Handle other{::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
  ASSERT_EQ(other.get(), number);
  int calls = 0;
  const Watch fresh = reactor().watch(number, Interest::readable, [&](Readiness) {
    ++calls;
    eventfd_t value = 0;
    ::eventfd_read(number, &value);
  });
  settle(reactor());
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(sleeps());
}

TEST_P(AnEventfdClosedUnderItsWatch, ReceivesAtMostForAWhileOfAnotherThatIsNotWatched) {
  Handle old{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  int calls = 0;
  const Watch watch = reactor().watch(old.get(), Interest::readable, [&](Readiness) { ++calls; });
  settle(reactor());
  old.close();
  const Handle other{::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
  for (int i = 0; i < 600; ++i) reactor().poll();
  EXPECT_LE(calls, 256);
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_BACKEND(AnEventfdClosedUnderItsWatch);

}  // namespace
}  // namespace pollux::conformance
