// SPDX-License-Identifier: MIT
// Interest::one_shot on every backend: told once, then silent until asked anew, at no cost where
// the handler asks. And Interest::edge, where the backend has edges.
#include <string>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

constexpr Interest readable_once = Interest::readable | Interest::one_shot;
constexpr Interest writable_once = Interest::writable | Interest::one_shot;

class AOneShotStream : public OnEachKind {};

TEST_P(AOneShotStream, IsDeliveredOnceThoughBytesAreLeft) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, readable_once};
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(local.events().size(), 1u);
  EXPECT_EQ(local.watch.interest(), Interest::none);
  EXPECT_TRUE(sleeps());
}

TEST_P(AOneShotStream, IsDeliveredAgainWhenAskedAnew) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, readable_once};
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(delivers(local, "readable"));
  local.watch.set_interest(readable_once);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(local.events().size(), 2u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AOneShotStream, ReceivesTheEndAndWhatComesAfterIt) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, readable_once};
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(delivers(local, "readable"));
  drain(pair.local);
  pair.peer.close();
  local.watch.set_interest(readable_once);
  // A TCP socket may still be written to; of the others that is the end of both directions.
  local.ignore(Event::hangup);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  EXPECT_EQ(local.watch.interest(), Interest::none);
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_KIND(AOneShotStream, streams);

class AOneShotSocket : public OnEachKind {};

TEST_P(AOneShotSocket, LearnsOfAResetThoughItIsSilent) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, readable_once};
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(delivers(local, "readable"));
  drain(pair.local);
  reset_by_peer(pair);
  EXPECT_TRUE(delivers(local, "error hangup"));
}

TEST_P(AOneShotSocket, MayWriteOnce) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, writable_once};
  ASSERT_TRUE(delivers(local, "writable"));
  EXPECT_EQ(local.events().size(), 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AOneShotSocket, AskedAnewByItsOwnHandlerCostsTheKernelNothing) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, readable_once};
  local.on_event([&](const StreamEvent&) { local.watch.set_interest(readable_once); });
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(delivers(local, "readable"));
  const auto changes = reactor().stats().changes;
  const auto coalesced = reactor().stats().coalesced;
  const auto calls = local.events().size();
  for (int i = 0; i < 10; ++i) reactor().poll();
  EXPECT_EQ(local.events().size(), calls + 10);
  EXPECT_GE(reactor().stats().coalesced, coalesced + 9);
  // What is left are the looks of a backend that asks whether the number is the same file still.
  EXPECT_LE(reactor().stats().changes, changes + reactor().stats().probes);
}

POLLUX_ON_EACH_KIND(AOneShotSocket, sockets);

class AWatchThatIsNotLevelTriggered : public OnEachBackend {
 protected:
  Handler<Readiness> counting() {
    return [this](Readiness readiness) {
      ++calls;
      EXPECT_TRUE(readiness.readable());
    };
  }

  std::size_t calls = 0;
};

TEST_P(AWatchThatIsNotLevelTriggered, IsDeliveredOnceIfItIsOneShot) {
  const Pair pair = make_pair(cheapest_pair_kind());
  Watch watch = reactor().watch(pair.local.get(), readable_once, counting());
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls, 1u);
  watch.set_interest(readable_once);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  watch.set_interest(Interest::readable);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(AWatchThatIsNotLevelTriggered, MayEndItself) {
  const Pair pair = make_pair(cheapest_pair_kind());
  Watch watch;
  watch = reactor().watch(pair.local.get(), readable_once, [&](Readiness) { watch.reset(); });
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AWatchThatIsNotLevelTriggered, IsDeliveredOncePerChangeIfItHasEdgesOrRefused) {
  const Pair pair = make_pair(cheapest_pair_kind());
  std::error_code error;
  Watch watch =
      reactor().watch(pair.local.get(), Interest::readable | Interest::edge, counting(), error);
  if (error) {
    // The same answer for one that is watched already, and it is watched as before.
    EXPECT_EQ(error, std::errc::operation_not_supported);
    watch = reactor().watch(pair.local.get(), Interest::readable, counting());
    watch.set_interest(Interest::readable | Interest::edge, error);
    EXPECT_EQ(error, std::errc::operation_not_supported);
    EXPECT_EQ(watch.interest(), Interest::readable);
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(reactor().run_once(), 1u);
    EXPECT_EQ(reactor().run_once(), 1u);
    return;
  }
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(sleeps());
  write_bytes(pair.peer, "def");
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls, 2u);
}

TEST_P(AWatchThatIsNotLevelTriggered, LosesNoEdgeWhenTheLoopIsStoppedBeforeIt) {
  const Pair one = make_pair(cheapest_pair_kind());
  const Pair other = make_pair(cheapest_pair_kind());
  std::error_code error;
  const auto stopping = [this](Readiness) {
    ++calls;
    reactor().stop();
  };
  const Watch first =
      reactor().watch(one.local.get(), Interest::readable | Interest::edge, stopping, error);
  if (error) return;  // no edges here: the test above
  const Watch second =
      reactor().watch(other.local.get(), Interest::readable | Interest::edge, stopping);
  write_bytes(one.peer, "abc");
  write_bytes(other.peer, "abc");
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(calls, 2u);
  EXPECT_TRUE(sleeps());
}

TEST_P(AWatchThatIsNotLevelTriggered, IsNotAskedForWhatMakesNoSense) {
  const Pair pair = make_pair(cheapest_pair_kind());
  std::error_code error;
  const Watch both =
      reactor().watch(pair.local.get(), Interest::readable | Interest::one_shot | Interest::edge,
                      counting(), error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  StreamWatch stream = reactor().watch_stream(
      pair.local.get(), Interest::readable | Interest::edge, [](const StreamEvent&) {}, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  stream = reactor().watch_stream(pair.local.get(), Interest::readable, [](const StreamEvent&) {});
  stream.set_interest(Interest::readable | Interest::edge, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(stream.interest(), Interest::readable);
}

POLLUX_ON_EACH_BACKEND(AWatchThatIsNotLevelTriggered);

}  // namespace
}  // namespace pollux::conformance
