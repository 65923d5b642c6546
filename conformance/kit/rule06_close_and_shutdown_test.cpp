// SPDX-License-Identifier: MIT
// Rule 6: on TCP the peer's close and its shutdown(SHUT_WR) are the same, one FIN, until something
// is written to it: then comes a reset. On AF_UNIX a close is both directions at once. Goal: the
// two told alike where they are alike, and the write that tells them apart.
#include <cerrno>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class CloseAndShutdownOfTcp : public OnEachKind {
 protected:
  static void close_peer(Pair& pair) { pair.peer.close(); }
  static void bytes_and_close(Pair& pair) {
    write_bytes(pair.peer, "abc");
    pair.peer.close();
  }
};

TEST_P(CloseAndShutdownOfTcp, ThePeersCloseAndItsHalfCloseAreDeliveredAlike) {
  for (const History& end :
       {History{close_peer}, History{[](Pair& pair) { shutdown_write(pair.peer); }}}) {
    for (const Interest interest : {Interest::readable, Interest::readable | Interest::writable}) {
      before_and_after(interest, end, [&](Pair&, Recorder& local) {
        local.ignore(Event::writable);
        EXPECT_TRUE(delivers(local, "end_of_stream"));
      });
    }
    while_paused(end, [&](Pair&, Recorder& local) { EXPECT_TRUE(delivers_nothing(local)); });
    before_and_after(Interest::readable | Interest::peer_closed, end, [&](Pair&, Recorder& local) {
      EXPECT_TRUE(delivers(local, "peer_closed end_of_stream"));
    });
  }
}

TEST_P(CloseAndShutdownOfTcp, TheFirstWriteToAClosedPeerSucceedsAndThenEverythingFires) {
  before_and_after(Interest::readable, close_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    EXPECT_EQ(write_bytes(pair.local, "x"), 1);
    EXPECT_TRUE(delivers(local, "error hangup", error_behind_a_fin()));
    EXPECT_EQ(write_bytes(pair.local, "x"), system_facts().failure_is_taken ? -EPIPE : -ECONNRESET);
  });
}

TEST_P(CloseAndShutdownOfTcp, AWriteBeforeTheLoopHasRunFailsBehindTheEnd) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        close_peer(pair);
        write_bytes(pair.local, "x");
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, fin_and_reset(), error_behind_a_fin()));
      });
}

TEST_P(CloseAndShutdownOfTcp, AWriteToAClosedPeerLosesNoByteThatWasUnread) {
  before_and_after(Interest::readable, bytes_and_close, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(write_bytes(pair.local, "x"), 1);
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 3), 3);
    EXPECT_TRUE(delivers(local, fin_and_reset(), error_behind_a_fin()));
  });
}

TEST_P(CloseAndShutdownOfTcp, WhilePausedAWriteToAClosedPeerFailsAtOnce) {
  while_paused(close_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_EQ(write_bytes(pair.local, "x"), 1);
    EXPECT_TRUE(delivers(local, "error hangup", error_behind_a_fin()));
  });
}

TEST_P(CloseAndShutdownOfTcp, APeerThatClosesWithBytesUnreadResets) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.local, "left unread");
        pair.peer.close();
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

POLLUX_ON_EACH_KIND(CloseAndShutdownOfTcp, tcp);

class CloseOfAUnixStream : public OnEachKind {};

TEST_P(CloseOfAUnixStream, EndsBothDirectionsBehindTheBytes) {
  for (const Interest interest : {Interest::readable, Interest::readable | Interest::writable}) {
    before_and_after(
        interest,
        [](Pair& pair) {
          write_bytes(pair.peer, "abc");
          pair.peer.close();
        },
        [&](Pair& pair, Recorder& local) {
          EXPECT_TRUE(delivers(local, "readable"));
          EXPECT_EQ(drain(pair.local), 3u);
          EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
        });
  }
}

TEST_P(CloseOfAUnixStream, IsMoreThanAHalfClose) {
  before_and_after(
      Interest::readable | Interest::writable, [](Pair& pair) { shutdown_write(pair.peer); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream writable"));
        pair.peer.close();
        EXPECT_TRUE(delivers(local, "hangup"));
      });
}

TEST_P(CloseOfAUnixStream, ThatLeavesBytesUnreadIsAReset) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.local, "left unread");
        pair.peer.close();
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

TEST_P(CloseOfAUnixStream, IsDeliveredToAListenersClientAsWell) {
  const Handle listener = make_listener(kind());
  Handle client = start_connect(kind(), listener);
  Handle server = accept_one(listener);
  Recorder local{reactor(), client, Interest::readable};
  write_bytes(server, "abc");
  server.close();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(client), 3u);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
}

POLLUX_ON_EACH_KIND(CloseOfAUnixStream, unix_streams);

}  // namespace
}  // namespace pollux::conformance
