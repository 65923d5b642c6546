// SPDX-License-Identifier: MIT
// Rule 3: half-close is a state, not the end. Goal: after end_of_stream the other direction works
// as before, `writable` with it, for as long as the peer reads; and it ends with hangup when it
// ends.
#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

class HalfClose : public OnEachKind {
 protected:
  static void end_of_peer(Pair& pair) { shutdown_write(pair.peer); }
};

TEST_P(HalfClose, WritingGoesOnAfterTheEndOfTheStream) {
  before_and_after(Interest::readable, end_of_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    EXPECT_EQ(write_bytes(pair.local, "an answer"), 9);
    EXPECT_EQ(read_bytes(pair.peer), 9);
    EXPECT_TRUE(delivers_nothing(local));
  });
}

TEST_P(HalfClose, WritableIsDeliveredAfterTheEndOfTheStream) {
  before_and_after(Interest::readable | Interest::writable, end_of_peer,
                   [&](Pair&, Recorder& local) {
                     EXPECT_TRUE(delivers(local, "end_of_stream writable"));
                     EXPECT_TRUE(delivers(local, "writable"));
                   });
}

TEST_P(HalfClose, WritableMayBeAskedForAfterTheEndOfTheStream) {
  before_and_after(Interest::readable, end_of_peer, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    local.watch.set_interest(Interest::writable);
    EXPECT_TRUE(delivers(local, "writable"));
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers_nothing(local));
  });
}

TEST_P(HalfClose, WritableComesBackWhenThePeerMakesRoom) {
  before_and_after(Interest::readable, end_of_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    const std::size_t sent = fill(pair.local);
    local.watch.set_interest(Interest::writable);
    EXPECT_TRUE(delivers_nothing(local));
    std::size_t received = drain(pair.peer);
    EXPECT_TRUE(delivers(local, "writable"));
    EXPECT_TRUE(run_until(reactor(), [&] { return (received += drain(pair.peer)) == sent; }));
  });
}

TEST_P(HalfClose, ThePeerSeesBytesAndTheEndOfTheAnswer) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder peer{reactor(), pair.peer, Interest::readable};
  std::size_t received = 0;
  drain_on_readable(peer, pair.peer, received);
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  write_bytes(pair.local, "an answer");
  EXPECT_TRUE(delivers(peer, "readable"));
  end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "hangup"));
  EXPECT_TRUE(delivers(peer, "end_of_stream hangup"));
  EXPECT_EQ(received, 9u);
}

TEST_P(HalfClose, ItEndsWithHangupWhenTheOtherDirectionEnds) {
  for (const Interest interest : {Interest::readable, Interest::readable | Interest::writable}) {
    before_and_after(interest, end_of_peer, [&](Pair& pair, Recorder& local) {
      local.ignore(Event::writable);
      EXPECT_TRUE(delivers(local, "end_of_stream"));
      end_writing(pair.local);
      EXPECT_TRUE(delivers(local, "hangup"));
    });
  }
}

TEST_P(HalfClose, PausedAtTheEndItStillEndsWithHangup) {
  before_and_after(Interest::readable, end_of_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    local.watch.set_interest(Interest::none);
    EXPECT_TRUE(delivers_nothing(local));
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));
  });
}

TEST_P(HalfClose, AResetEndsItWithAnError) {
  before_and_after(Interest::readable, end_of_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    reset_by_peer(pair);
    EXPECT_TRUE(delivers(local, "error hangup"));
  });
}

TEST_P(HalfClose, AHalfOpenStreamThatNobodyReadsIsWritableWhilePaused) {
  before_and_after(Interest::writable, end_of_peer, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "writable"));
    local.watch.set_interest(Interest::readable | Interest::writable);
    EXPECT_TRUE(delivers(local, "end_of_stream writable"));
  });
}

POLLUX_ON_EACH_KIND(HalfClose, sockets);

}  // namespace
}  // namespace pollux::conformance
