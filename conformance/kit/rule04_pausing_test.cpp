// SPDX-License-Identifier: MIT
// Rule 4: a paused watch receives neither readable nor end_of_stream; failures come through at
// once, and the end of both directions if nothing is unread; with bytes unread the watch is parked
// until reading resumes. Goal: each of these with an empty interest and with all that a paused
// watch may still ask for.
#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

class Pausing : public OnEachKind {
 protected:
  /// Ends both directions.
  void end_both(Pair& pair) {
    pair.peer.close();
    if (is_tcp(kind())) end_writing(pair.local);
  }
};

TEST_P(Pausing, BytesAreNotDeliveredUntilReadingResumes) {
  while_paused([](Pair& pair) { write_bytes(pair.peer, "abc"); },
               [&](Pair&, Recorder& local) {
                 EXPECT_TRUE(delivers_nothing(local));
                 local.watch.set_interest(Interest::readable);
                 EXPECT_TRUE(delivers(local, "readable"));
               });
}

TEST_P(Pausing, TheEndOfBothDirectionsComesThroughWhereNothingIsUnread) {
  while_paused([&](Pair& pair) { end_both(pair); },
               [&](Pair&, Recorder& local) {
                 EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
                 local.watch.set_interest(Interest::readable);
                 EXPECT_TRUE(delivers_nothing(local));
               });
}

TEST_P(Pausing, TheEndOfBothDirectionsBehindBytesIsHeldUntilTheyAreRead) {
  while_paused(
      [&](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_both(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(Pausing, AHeldStreamIsNotWritable) {
  before_and_after(
      Interest::none,
      [&](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_both(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::writable);
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable | Interest::writable);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(Pausing, AHeldStreamThatItsOwnerReadEndsWhenReadingResumes) {
  before_and_after(
      Interest::none,
      [&](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_both(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(Pausing, AHeldStreamMayBePausedAndResumedAgain) {
  before_and_after(
      Interest::none,
      [&](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_both(pair);
      },
      [&](Pair& pair, Recorder& local) {
        for (int i = 0; i < 3; ++i) {
          EXPECT_TRUE(delivers_nothing(local));
          local.watch.set_interest(Interest::readable);
          EXPECT_TRUE(delivers(local, "readable"));
          EXPECT_EQ(read_bytes(pair.local, 1), 1);
          local.watch.set_interest(Interest::none);
        }
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(Pausing, AHandlerThatPausesReceivesNoMoreBytes) {
  before_and_after(
      Interest::readable, [](Pair& pair) { write_bytes(pair.peer, "abc"); },
      [&](Pair&, Recorder& local) {
        local.on_event([&](const StreamEvent&) { local.watch.set_interest(Interest::none); });
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(local.events().size(), 1u);
        EXPECT_TRUE(delivers_nothing(local));
      });
}

TEST_P(Pausing, ChangesWithinATurnCountOnlyInTheirSum) {
  before_and_after(
      Interest::none, [](Pair& pair) { write_bytes(pair.peer, "abc"); },
      [&](Pair&, Recorder& local) {
        local.watch.set_interest(Interest::readable);
        local.watch.set_interest(Interest::none);
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable);
        local.watch.set_interest(Interest::none);
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers(local, "readable"));
      });
}

TEST_P(Pausing, TheInterestIsWhatWasAskedForLast) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_EQ(local.watch.interest(), Interest::readable);
  local.watch.set_interest(Interest::peer_closed);
  EXPECT_EQ(local.watch.interest(), Interest::peer_closed);
  local.watch.set_interest(Interest::none);
  EXPECT_EQ(local.watch.interest(), Interest::none);
  local.watch.reset();
  EXPECT_EQ(local.watch.interest(), Interest::none);
}

POLLUX_ON_EACH_KIND(Pausing, streams);

class PausingASocket : public OnEachKind {};

TEST_P(PausingASocket, ThePeersHalfCloseIsNotDeliveredUntilReadingResumes) {
  while_paused([](Pair& pair) { shutdown_write(pair.peer); },
               [&](Pair&, Recorder& local) {
                 EXPECT_TRUE(delivers_nothing(local));
                 local.watch.set_interest(Interest::readable);
                 EXPECT_TRUE(delivers(local, "end_of_stream"));
               });
}

TEST_P(PausingASocket, BytesAndAHalfCloseAreDeliveredInOrderWhenReadingResumes) {
  while_paused(
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream"));
      });
}

TEST_P(PausingASocket, AFailureComesThroughAtOnce) {
  while_paused(reset_by_peer, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(PausingASocket, AFailureComesThroughAtOncePastUnreadBytes) {
  while_paused(
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        reset_by_peer(pair);
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

TEST_P(PausingASocket, AFailureOfAHalfClosedStreamComesThroughAtOnce) {
  while_paused([](Pair& pair) { shutdown_write(pair.peer); },
               [&](Pair& pair, Recorder& local) {
                 EXPECT_TRUE(delivers_nothing(local));
                 reset_by_peer(pair);
                 EXPECT_TRUE(delivers(local, "error hangup"));
               });
}

TEST_P(PausingASocket, OurOwnEndAfterThePeersComesThroughAtOnce) {
  while_paused([](Pair& pair) { shutdown_write(pair.peer); },
               [&](Pair& pair, Recorder& local) {
                 EXPECT_TRUE(delivers_nothing(local));
                 end_writing(pair.local);
                 EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
               });
}

TEST_P(PausingASocket, BytesReadByTheOwnerWhilePausedLetTheEndComeThrough) {
  while_paused(
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers_nothing(local));
        end_writing(pair.local);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

POLLUX_ON_EACH_KIND(PausingASocket, sockets);

}  // namespace
}  // namespace pollux::conformance
