// SPDX-License-Identifier: MIT
// Watch::close(): the watch ends and its descriptor is closed, in one go.
#include <chrono>
#include <utility>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// A fresh pair whose local end has that number, which is free.
Pair pair_at(NativeHandle number, PairKind kind) {
  Pair pair = make_pair(kind);
  if (pair.peer.get() == number) std::swap(pair.local, pair.peer);
  if (pair.local.get() == number) return pair;
  pair.local = duplicate_at(pair.local, number);
  EXPECT_TRUE(pair.local);
  return pair;
}

class Closing : public OnEachKind {};

TEST_P(Closing, EndsTheWatchAndThePeerLearnsOfItAtOnce) {
  Pair pair = make_pair(kind());
  StreamWatch watch = reactor().watch_stream(pair.local.get(), Interest::readable,
                                             [](const StreamEvent&) { FAIL(); });
  settle(reactor());
  const NativeHandle number = pair.local.release();
  EXPECT_TRUE(watch.close());
  EXPECT_FALSE(watch);
  EXPECT_FALSE(is_open(number));
  EXPECT_TRUE(await_close(kind(), pair.peer, 5s)) << "the peer has not learned of it";
  EXPECT_TRUE(sleeps());
}

TEST_P(Closing, MayBeDoneByTheHandler) {
  Pair pair = make_pair(kind());
  int calls = 0;
  StreamWatch watch;
  watch = reactor().watch_stream(pair.local.release(), Interest::readable, [&](const StreamEvent&) {
    ++calls;
    EXPECT_TRUE(watch.close());
  });
  write_bytes(pair.peer, "left unread");
  EXPECT_TRUE(run_until(reactor(), [&] { return calls == 1; }));
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls, 1);
}

TEST_P(Closing, LeavesTheNumberToOthers) {
  Pair first = make_pair(kind());
  const NativeHandle number = first.local.get();
  StreamWatch watch = reactor().watch_stream(first.local.release(), Interest::readable,
                                             [](const StreamEvent&) { FAIL(); });
  settle(reactor());
  ASSERT_TRUE(watch.close());
  const Pair second = pair_at(number, kind());
  Recorder local{reactor(), second.local, Interest::readable};
  write_bytes(second.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(Closing, IsRightAlsoWhereADuplicateIsAlive) {
  Pair pair = make_pair(kind());
  StreamWatch watch = reactor().watch_stream(pair.local.get(), Interest::readable,
                                             [](const StreamEvent&) { FAIL(); });
  settle(reactor());
  const Handle copy = duplicate(pair.local);
  static_cast<void>(pair.local.release());
  ASSERT_TRUE(watch.close());
  write_bytes(pair.peer, "abc");
  settle(reactor());
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(has_unread(copy));
}

TEST_P(Closing, LeavesAloneWhatWasClosedUnderTheWatch) {
  Pair pair = make_pair(kind());
  const NativeHandle number = pair.local.get();
  StreamWatch old =
      reactor().watch_stream(number, Interest::readable, [](const StreamEvent&) { FAIL(); });
  pair.local.close();
  const Pair other = pair_at(number, kind());
  const StreamWatch fresh =
      reactor().watch_stream(number, Interest::readable, [](const StreamEvent&) {});
  EXPECT_FALSE(old.close()) << "the number is another's";
  EXPECT_TRUE(is_open(number));
}

/// A watch whose descriptor was closed under it, and the number given out again: close() leaves
/// that alone, and says so.
class ClosingAnothersFile : public Closing {
 protected:
  template <class Watched>
  void expect_left_alone(Watched& watch, NativeHandle number) {
    EXPECT_EQ(Handle{number}.close(), 0);
    const Pair other = pair_at(number, kind());
    EXPECT_FALSE(watch.close());
    EXPECT_TRUE(is_open(number)) << "another's file was closed";
  }
};

TEST_P(ClosingAnothersFile, IsNotDoneByAWatch) {
  for (const bool with_a_turn : {false, true}) {
    Pair pair = make_pair(kind());
    const NativeHandle number = pair.local.release();
    StreamWatch watch =
        reactor().watch_stream(number, Interest::readable, [](const StreamEvent&) { FAIL(); });
    if (with_a_turn) settle(reactor());
    expect_left_alone(watch, number);
  }
}

TEST_P(ClosingAnothersFile, IsNotDoneByAReadinessWatchWithOrWithoutAnInterest) {
  for (const Interest interest : {Interest::none, Interest::readable}) {
    for (const bool later : {false, true}) {
      Pair pair = make_pair(kind());
      const NativeHandle number = pair.local.release();
      Watch watch =
          reactor().watch(number, later ? Interest::readable : interest, [](Readiness) { FAIL(); });
      watch.set_interest(interest);
      settle(reactor());
      expect_left_alone(watch, number);
    }
  }
}

TEST_P(ClosingAnothersFile, IsNotDoneAfterAHangup) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::none};
  if (kind() != PairKind::pipe) end_both(pair.local);
  pair.peer.close();
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  expect_left_alone(local.watch, pair.local.release());
}

TEST_P(ClosingAnothersFile, IsNotDoneWhereBytesAreHeldUnread) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::none};
  write_bytes(pair.peer, "unread");
  if (kind() != PairKind::pipe) end_writing(pair.local);
  pair.peer.close();
  EXPECT_TRUE(delivers_nothing(local));
  expect_left_alone(local.watch, pair.local.release());
}

TEST_P(ClosingAnothersFile, NorIsItWatchedInsteadOfTheOld) {
  Pair pair = make_pair(kind());
  const NativeHandle number = pair.local.release();
  Watch watch = reactor().watch(number, Interest::none, [](Readiness) { FAIL(); });
  settle(reactor());
  EXPECT_EQ(Handle{number}.close(), 0);
  const Pair other = pair_at(number, kind());
  write_bytes(other.peer, "abc");
  std::error_code error;
  watch.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  settle(reactor());
}

POLLUX_ON_EACH_KIND(ClosingAnothersFile, streams);

TEST_P(Closing, OfAnEmptyWatchClosesNothing) {
  StreamWatch watch;
  EXPECT_FALSE(watch.close());
}

POLLUX_ON_EACH_KIND(Closing, streams);

}  // namespace
}  // namespace pollux::conformance
