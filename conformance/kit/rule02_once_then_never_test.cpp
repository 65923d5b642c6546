// SPDX-License-Identifier: MIT
// Rule 2: a lifecycle event that has been reported is not reported again, and after hangup the
// descriptor has left the kernel's set. Goal: each event of each life once, also if the kernel goes
// on repeating it, and a loop that receives nothing of a stream that is over.
// (rule02_idle_states_test.cpp counts its turns.)
#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

class OnceThenNever : public OnEachKind {};

TEST_P(OnceThenNever, AWholeLifeIsDeliveredOnce) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable | Interest::peer_closed};
  local.ignore(Event::peer_closed);
  std::size_t received = 0;
  drain_on_readable(local, pair.local, received);
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  pair.peer.close();
  if (is_tcp(kind())) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));
  } else {
    EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  }
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_EQ(received, 3u);
}

TEST_P(OnceThenNever, EndOfStreamIsNotDeliveredAgainWhenReadingIsAskedForAnew) {
  before_and_after(
      Interest::readable, [](Pair& pair) { pair.peer.close(); },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
        local.watch.set_interest(Interest::none);
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers_nothing(local));
      });
}

TEST_P(OnceThenNever, AfterHangupTheKernelReportsNothingMore) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  pair.peer.close();
  if (is_tcp(kind())) end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  const auto reports = reactor().stats().reports;
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_EQ(reactor().stats().reports, reports);
}

TEST_P(OnceThenNever, AfterHangupAChangeOfInterestHasNoEffect) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  pair.peer.close();
  if (is_tcp(kind())) end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  for (const Interest interest :
       {Interest::none, Interest::writable, Interest::readable,
        Interest::readable | Interest::writable | Interest::peer_closed}) {
    std::error_code error;
    local.watch.set_interest(interest, error);
    EXPECT_FALSE(error);
    EXPECT_TRUE(delivers_nothing(local));
  }
  EXPECT_TRUE(local.watch);
}

TEST_P(OnceThenNever, AfterHangupTheDescriptorCanBeWatchedAgainAndReportsItsEndAnew) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  pair.peer.close();
  if (is_tcp(kind())) end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  Recorder again{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers(again, "end_of_stream hangup"));
  EXPECT_TRUE(delivers_nothing(local));
}

TEST_P(OnceThenNever, AStreamThatIsOverStaysOpenForItsOwnerToClose) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  pair.peer.close();
  if (is_tcp(kind())) end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  local.watch.reset();
  EXPECT_EQ(read_bytes(pair.local), 0);
}

POLLUX_ON_EACH_KIND(OnceThenNever, streams);

class OnceThenNeverOnSockets : public OnEachKind {};

TEST_P(OnceThenNeverOnSockets, AnErrorIsDeliveredOnceWithEveryInterest) {
  for (const Interest interest :
       {Interest::none, Interest::readable, Interest::writable,
        Interest::readable | Interest::writable | Interest::peer_closed}) {
    before_and_after(interest, reset_by_peer, [&](Pair&, Recorder& local) {
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      EXPECT_TRUE(delivers_nothing(local));
    });
  }
}

POLLUX_ON_EACH_KIND(OnceThenNeverOnSockets, sockets);

}  // namespace
}  // namespace pollux::conformance
