// SPDX-License-Identifier: MIT
// Rule 5: a reset. While reading, the bytes that the kernel still has come first, then error +
// hangup, and no end_of_stream; while paused, error + hangup at once. FIN and then reset:
// end_of_stream before them. Goal: each with and without bytes, and the other ways for a connection
// to fail.
#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class Reset : public OnEachKind {
 protected:
  static void bytes_and_reset(Pair& pair) {
    write_bytes(pair.peer, "abc");
    reset_by_peer(pair);
  }
  static constexpr Interest both = Interest::readable | Interest::writable;
};

TEST_P(Reset, WhileReadingItIsAnErrorAndNoEndOfStream) {
  before_and_after(Interest::readable, reset_by_peer, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(Reset, WhileReadingTheBytesBeforeItComeFirst) {
  before_and_after(Interest::readable, bytes_and_reset, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 2), 2);
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 1), 1);
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(Reset, NothingIsWritableBesideIt) {
  before_and_after(both, reset_by_peer, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
    EXPECT_FALSE(local.events().back().writable());
  });
}

TEST_P(Reset, NothingIsWritableWhileTheBytesBeforeItAreRead) {
  before_and_after(both, bytes_and_reset, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 3), 3);
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(Reset, AWatchThatOnlyWritesReceivesItAtOnce) {
  before_and_after(Interest::writable, bytes_and_reset, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(Reset, PausingWithItsBytesUnreadLetsItThroughAtOnce) {
  before_and_after(Interest::readable, bytes_and_reset, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "readable"));
    local.watch.set_interest(Interest::none);
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
  });
}

TEST_P(Reset, AfterTheEndWasDeliveredItIsAnErrorAndHangup) {
  before_and_after(
      Interest::readable, [](Pair& pair) { shutdown_write(pair.peer); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        reset_by_peer(pair);
        EXPECT_TRUE(delivers(local, "error hangup"));
      });
}

TEST_P(Reset, AfterOurOwnEndOfWritingItIsStillDeliveredAsAnError) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.local, "left unread by the peer");
        end_writing(pair.local);
        reset_connection(pair.peer);
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

POLLUX_ON_EACH_KIND(Reset, sockets);

class ResetOfTcp : public OnEachKind {};

TEST_P(ResetOfTcp, BehindTheEndItFollowsEndOfStream) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        shutdown_write(pair.peer);
        reset_by_peer(pair);
      },
      [&](Pair&, Recorder& local) { EXPECT_TRUE(delivers(local, fin_and_reset())); });
}

TEST_P(ResetOfTcp, BehindBytesAndTheEndItComesLast) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
        reset_by_peer(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 3), 3);
        EXPECT_TRUE(delivers(local, fin_and_reset()));
      });
}

POLLUX_ON_EACH_KIND(ResetOfTcp, tcp);

// An AF_UNIX stream keeps no trace of a half-close that a reset followed: if the loop has not run
// in between, the stream was cut by a reset.
class ResetOfAUnixStream : public OnEachKind {};

TEST_P(ResetOfAUnixStream, BehindAHalfCloseThatWasNotDeliveredIsAllThatIsDelivered) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
        reset_by_peer(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 3), 3);
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

POLLUX_ON_EACH_KIND(ResetOfAUnixStream, unix_streams);

class FailureOfTcp : public OnEachKind {};

TEST_P(FailureOfTcp, ADeadPeerIsAnErrorTimedOut) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  Pair pairs[] = {make_pair(kind()), make_pair(kind())};
  for (Pair& pair : pairs) {
    give_up_early(pair.local);
    play_dead(pair.peer);
    EXPECT_EQ(write_bytes(pair.local, "is anybody there?"), 17);
  }
  Recorder reading{reactor(), pairs[0].local, Interest::readable};
  Recorder paused{reactor(), pairs[1].local, Interest::none};
  EXPECT_TRUE(delivers(reading, "error hangup", std::errc::timed_out));
  EXPECT_TRUE(delivers(paused, "error hangup", std::errc::timed_out));
}

POLLUX_ON_EACH_KIND(FailureOfTcp, tcp);

}  // namespace
}  // namespace pollux::conformance
