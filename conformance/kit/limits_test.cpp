// SPDX-License-Identifier: MIT
// A program that lowers its limit of descriptors once it is set up, as sandboxes do: Linux's
// poll(2) then refuses every call. Goal: whatever ends, or fails, is delivered all the same.
#include <chrono>
#include <system_error>
#include <vector>

#include <sys/socket.h>

#include <pollux/backend_support.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class UnderALimitOfNoDescriptors : public OnEachKind {};

TEST_P(UnderALimitOfNoDescriptors, BytesAndTheEndAreDelivered) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const DescriptorLimit none{0};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 3);
  EXPECT_TRUE(delivers_nothing(local));
  pair.peer.close();
  EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
  if (is_tcp(kind())) {
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));
  }
  EXPECT_TRUE(sleeps());
}

TEST_P(UnderALimitOfNoDescriptors, ALostReaderIsDelivered) {
  for (const Interest interest : {Interest::none, Interest::readable}) {
    Pair pair = make_pair(kind());
    if (kind() == PairKind::pipe) std::swap(pair.local, pair.peer);
    Recorder local{reactor(), pair.local, interest};
    EXPECT_TRUE(delivers_nothing(local));
    const DescriptorLimit none{0};
    if (kind() == PairKind::pipe) {
      pair.peer.close();
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::broken_pipe));
    } else {
      reset_by_peer(pair);
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
    }
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(UnderALimitOfNoDescriptors, RoomToWriteIsDelivered) {
  Pair pair = make_pair(kind());
  if (kind() == PairKind::pipe) std::swap(pair.local, pair.peer);
  Recorder local{reactor(), pair.local, Interest::none};
  const DescriptorLimit none{0};
  local.watch.set_interest(Interest::writable);
  EXPECT_TRUE(delivers(local, "writable"));
}

TEST_P(UnderALimitOfNoDescriptors, TheEndIsDeliveredWhileSomebodyWrites) {
  if (kind() == PairKind::pipe) return;  // it has one direction
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable | Interest::writable};
  EXPECT_TRUE(delivers(local, "writable"));
  const DescriptorLimit none{0};
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "end_of_stream writable"));
}

POLLUX_ON_EACH_KIND(UnderALimitOfNoDescriptors, streams);

class PeerClosedUnderALimitOfNoDescriptors : public OnEachKind {};

TEST_P(PeerClosedUnderALimitOfNoDescriptors, IsDeliveredBehindUnreadBytes) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::peer_closed};
  EXPECT_TRUE(delivers_nothing(local));
  const DescriptorLimit none{0};
  write_bytes(pair.peer, "abc");
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "peer_closed"));
  local.watch.set_interest(Interest::readable);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 3);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
}

POLLUX_ON_EACH_KIND(PeerClosedUnderALimitOfNoDescriptors, tcp);

class ManyUnderALimitOfNoDescriptors : public OnEachBackend {};

TEST_P(ManyUnderALimitOfNoDescriptors, AreDeliveredInTurnsThatEachTakeAFew) {
  use({.event_batch = 2});
  std::vector<Pair> pairs;
  std::vector<Watch> watches;
  std::vector<int> calls(12);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    write_bytes(pairs[i].peer, "abc");
    watches.push_back(reactor().watch(pairs[i].local.get(), Interest::readable,
                                      [&calls, i](Readiness) { ++calls[i]; }));
  }
  const DescriptorLimit none{0};
  for (int turn = 0; turn < 40; ++turn) reactor().poll();
  for (const int count : calls) EXPECT_GT(count, 0);
}

TEST_P(ManyUnderALimitOfNoDescriptors, MayAskForTheFirstTime) {
  std::error_code error;
  SystemCalls calls_made;
  WakeHandle event{calls_made, error};  // on Linux an eventfd: what has no identity of its own
  ASSERT_FALSE(error);
  int calls = 0;
  Watch watch = reactor().watch(event.handle(), Interest::none, [&](Readiness) { ++calls; });
  const DescriptorLimit none{0};
  watch.set_interest(Interest::readable);
  event.signal();
  for (int i = 0; i < 10 && calls == 0; ++i) reactor().poll();
  EXPECT_GT(calls, 0);
}

TEST_P(ManyUnderALimitOfNoDescriptors, NoLongerTurnForWhatStaysUpWhenTheLimitIsGone) {
  use({.probe_interval_min = 1ms, .probe_interval_max = 1ms});
  const Pair pair = make_pair(PairKind::tcp4);
  std::error_code error;
  int calls = 0;
  const Watch watch = reactor().watch(
      pair.local.get(), Interest::priority, [&](Readiness) { ++calls; }, error);
  if (error == std::errc::operation_not_supported) return;
  ASSERT_FALSE(error) << error.message();
  settle(reactor());
  {
    const NoDescriptorLeft none;
    ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
    EXPECT_TRUE(run_until(reactor(), [&] { return calls > 0; }));
    settle(reactor());
  }
  // The urgent byte is there to be read still. Whoever has a descriptor again asks the kernel for
  // news, and not a timer.
  bool sleeps = false;
  for (int i = 0; i < 100 && !sleeps; ++i) {
    const std::uint64_t before = reactor().stats().turns;
    reactor().run_for(20ms);
    sleeps = reactor().stats().turns - before <= 2;
  }
  EXPECT_TRUE(sleeps);
}

POLLUX_ON_EACH_BACKEND(ManyUnderALimitOfNoDescriptors);

}  // namespace
}  // namespace pollux::conformance
