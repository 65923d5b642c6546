// SPDX-License-Identifier: MIT
// Reports that lead to nothing, for causes that nobody has thought of: the kernel keeps a bit up,
// and there is nothing to tell. The loop does not turn for it, and hears the next true byte at
// once. The streams are real, what the kernel is said to report about them is not.
#include <gtest/gtest.h>
#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

constexpr RawReady in_and_out = RawReady::in | RawReady::out;

/// A stream with nothing unread, of which the kernel says that `ready` is up.
struct VainStream {
  VainStream(RawReady reports, Interest interest, RawReady ready) : on{reports, true, {}} {
    watch = on.watch_stream(handle, interest, log);
    on.fake.set_ready(handle, ready);
  }

  /// How many waits the backend is asked for in an hour.
  std::size_t waits_in_an_hour() {
    on.fake.forget_waits();
    on.reactor.run_for(1h);
    return on.fake.waits().size();
  }

  Pair pair = make_pair(cheapest_pair_kind());
  NativeHandle handle = pair.local.get();
  Log log;
  FakeReactor on;
  StreamWatch watch;
};

TEST(VainReports, OfAStreamDoNotTurnTheLoopWhicheverBitIsUp) {
  for (const RawReady reports : {FakeBackend::native, FakeBackend::emulated}) {
    for (const Interest interest :
         {Interest::none, Interest::readable, Interest::peer_closed,
          Interest::readable | Interest::peer_closed, Interest::readable | Interest::one_shot}) {
      for (const RawReady ready : {RawReady::pri, RawReady::in | RawReady::pri,
                                   RawReady::err | RawReady::pri, RawReady::err}) {
        VainStream stream{reports, interest, ready};
        EXPECT_LE(stream.waits_in_an_hour(), 5u)
            << to_string(interest) << ", ready " << static_cast<unsigned>(ready);
        EXPECT_EQ(stream.log, Log{});
      }
    }
  }
}

TEST(VainReports, OfBytesDoNotTurnTheLoopOnABackendThatMustLook) {
  VainStream stream{FakeBackend::emulated, Interest::readable, RawReady::in};
  EXPECT_LE(stream.waits_in_an_hour(), 5u);
  EXPECT_EQ(stream.log, Log{});
}

TEST(VainReports, OfRoomThatNobodyAskedAboutDoNotTurnTheLoop) {
  for (const Interest interest : {Interest::none, Interest::readable}) {
    VainStream stream{FakeBackend::native, interest, RawReady::none};
    stream.on.reactor.poll();
    const Token token = stream.on.fake.calls().front().token;
    // A kernel that reports what it was not asked for, in each wait.
    for (int i = 0; i < 10; ++i) {
      stream.on.fake.report(token, RawReady::out);
      stream.on.reactor.poll();
    }
    EXPECT_TRUE(any(stream.on.fake.interest(stream.handle), RawInterest::edge));
    EXPECT_EQ(stream.log, Log{});
  }
}

TEST(VainReports, AreForgottenAtTheNextTrueByteWhichIsDeliveredAtOnce) {
  for (const RawReady reports : {FakeBackend::native, FakeBackend::emulated}) {
    VainStream stream{reports, Interest::readable, RawReady::in | RawReady::pri};
    EXPECT_LE(stream.waits_in_an_hour(), 5u);
    write_bytes(stream.pair.peer, "x");
    stream.on.fake.set_ready(stream.handle, RawReady::in | RawReady::pri);
    EXPECT_EQ(stream.on.reactor.poll(), 1u);
    EXPECT_EQ(stream.log, Log{"readable"});
    drain(stream.pair.local);
    EXPECT_LE(stream.waits_in_an_hour(), 5u);
  }
}

TEST(VainReports, ThatAreNotAskedAwayByTheUserAreAskedAboutAnew) {
  VainStream stream{FakeBackend::emulated, Interest::readable, RawReady::in};
  EXPECT_LE(stream.waits_in_an_hour(), 5u);
  write_bytes(stream.pair.peer, "x");
  stream.watch.set_interest(Interest::readable | Interest::writable);
  stream.on.fake.set_ready(stream.handle, in_and_out);
  EXPECT_EQ(stream.on.reactor.poll(), 1u);
  EXPECT_EQ(stream.log, Log{"readable writable"});
}

TEST(VainReports, OfBytesThatANativeBackendPromisesAreFoundOutInTime) {
  VainStream stream{FakeBackend::native, Interest::readable, RawReady::in};
  stream.on.fake.forget_waits();
  for (int i = 0; i < 600; ++i) stream.on.reactor.poll();
  EXPECT_LE(stream.log.size(), 256u) << "once in 256 reports the stream is looked at";
  EXPECT_LE(stream.waits_in_an_hour(), 2u);
  write_bytes(stream.pair.peer, "x");
  stream.on.fake.set_ready(stream.handle, RawReady::in);
  stream.log.clear();
  EXPECT_EQ(stream.on.reactor.poll(), 1u);
  EXPECT_EQ(stream.log, Log{"readable"});
}

TEST(VainReports, OfBytesWhereTheStreamHasEndedAreFollowedByTheEnd) {
  VainStream stream{FakeBackend::native, Interest::readable, RawReady::in};
  stream.pair.peer = {};
  for (int i = 0; i < 256; ++i) stream.on.reactor.poll();
  ASSERT_FALSE(stream.log.empty());
  EXPECT_EQ(stream.log.back(),
            is_tcp(cheapest_pair_kind()) ? "end_of_stream" : "end_of_stream hangup");
}

TEST(VainReports, OfAReadinessWatchDoNotTurnTheLoop) {
  for (const RawReady ready : {RawReady::pri, RawReady::rdhup | RawReady::pri}) {
    FakeReactor on;
    int calls = 0;
    Watch watch = on.reactor.watch(5, Interest::writable, [&](Readiness) { ++calls; });
    on.fake.set_ready(5, RawReady::none);
    on.reactor.poll();
    for (int i = 0; i < 10; ++i) {
      on.fake.report(on.fake.calls().front().token, ready);
      on.reactor.poll();
    }
    EXPECT_TRUE(any(on.fake.interest(5), RawInterest::edge));
    EXPECT_EQ(calls, 0);
    on.fake.set_ready(5, RawReady::out);
    on.reactor.poll();
    EXPECT_EQ(calls, 1);
  }
}

TEST(Hints, ToAReadinessWatchAreDeliveredOnceAndAgainWhenMoreHasHappened) {
  for (const RawReady hint : {RawReady::err, RawReady::pri, RawReady::err | RawReady::pri}) {
    FakeReactor on;
    std::vector<Readiness> delivered;
    Watch watch = on.reactor.watch(5, Interest::readable | Interest::priority,
                                   [&](Readiness readiness) { delivered.push_back(readiness); });
    on.fake.set_ready(5, hint);
    on.fake.forget_waits();
    on.reactor.run_for(1h);
    // Once more when it becomes an edge: no event may be lost between the two.
    ASSERT_GE(delivered.size(), 1u);
    ASSERT_LE(delivered.size(), 2u);
    EXPECT_LE(on.fake.waits().size(), 3u);
    EXPECT_EQ(delivered[0].error(), any(hint, RawReady::err));
    EXPECT_EQ(delivered[0].priority(), any(hint, RawReady::pri));
    EXPECT_EQ(delivered[0].readable(), any(hint, RawReady::err));
    delivered.clear();
    on.fake.set_ready(5, hint);
    on.reactor.run_for(1h);
    EXPECT_EQ(delivered.size(), 1u);
  }
}

TEST(Hints, BesideWhatWasAskedForAreDeliveredForAsLongAsItLasts) {
  FakeReactor on;
  int calls = 0;
  Watch watch = on.reactor.watch(5, Interest::readable, [&](Readiness readiness) {
    EXPECT_TRUE(readiness.readable());
    EXPECT_TRUE(readiness.error());
    ++calls;
  });
  on.fake.set_ready(5, RawReady::in | RawReady::err);
  for (int i = 0; i < 10; ++i) on.reactor.poll();
  EXPECT_EQ(calls, 10);
}

}  // namespace

}  // namespace pollux::support
