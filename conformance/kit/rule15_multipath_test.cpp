// SPDX-License-Identifier: MIT
// Rule 15, of MPTCP: what TCP says of one of its connections is not what has become of the stream.
// Goal: each side of a connection, whenever it was watched, and a peer that speaks plain TCP.
#include <utility>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

constexpr Interest reading = Interest::readable | Interest::peer_closed;

class PeerClosedOfMptcp : public OnEachKind {
 protected:
  void SetUp() override {
    OnEachKind::SetUp();
    works_ = has_multipath();
    if (!works_) RecordProperty("not_played", "no MPTCP to be had here: plain TCP instead");
  }
  Protocol protocol() const { return works_ ? Protocol::multipath : Protocol::usual; }
  /// Of the connection whose story it is: whether an own end of reading, with nothing unread,
  /// counts.
  bool own_end_counts() const {
    return is_multipath_ && !system_facts().multipath_fin_is_distinguished;
  }

  /// `story` of the side that was accepted and of the side that has connected, which is watched
  /// once it is connected, or while it is connecting.
  void on_each_side(Interest interest, const Story& story) {
    for (const bool swapped : {false, true}) {
      SCOPED_TRACE(swapped ? "the connected side" : "the accepted side");
      Pair pair = make_pair(kind(), protocol());
      if (swapped) std::swap(pair.local, pair.peer);
      is_multipath_ = works_;
      Recorder local{reactor(), pair.local, interest};
      story(pair, local);
    }
    SCOPED_TRACE("watched while connecting");
    deliver_connecting(protocol(), interest, story);
    SCOPED_TRACE("the peer speaks plain TCP");
    deliver_connecting(Protocol::usual, interest, story);
  }

 private:
  void deliver_connecting(Protocol of_listener, Interest interest, const Story& story) {
    const Handle listener = make_listener(kind(), of_listener);
    Pair pair{start_connect(kind(), listener, protocol()), {}};
    Recorder local{reactor(), pair.local, Interest::writable};
    EXPECT_TRUE(delivers(local, "writable"));
    pair.peer = accept_one(listener);
    local.watch.set_interest(interest);
    is_multipath_ = works_ && of_listener == Protocol::multipath;
    story(pair, local);
  }

  bool works_ = false;
  bool is_multipath_ = false;
};

TEST_P(PeerClosedOfMptcp, IsDeliveredWhilePausedAtUnreadBytesAndMakesNoTurnAfterwards) {
  on_each_side(Interest::peer_closed, [&](Pair& pair, Recorder& local) {
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers_nothing(local));
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, "peer_closed"));
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(reading);
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(drain(pair.local), 3u);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    EXPECT_TRUE(sleeps());
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));
    EXPECT_TRUE(sleeps());
  });
}

TEST_P(PeerClosedOfMptcp, ComesBeforeTheEnd) {
  on_each_side(reading, [&](Pair& pair, Recorder& local) {
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, "peer_closed end_of_stream"));
    EXPECT_TRUE(sleeps());
  });
}

TEST_P(PeerClosedOfMptcp, IsNotOurOwnEndOfReading) {
  on_each_side(reading, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    end_reading(pair.local);
    EXPECT_TRUE(delivers(local, own_end_counts() ? "peer_closed end_of_stream" : "end_of_stream"));
    EXPECT_TRUE(sleeps());
  });
  on_each_side(Interest::peer_closed, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "abc");
    end_reading(pair.local);
    EXPECT_TRUE(delivers_nothing(local));
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, "peer_closed"));
  });
}

TEST_P(PeerClosedOfMptcp, IsDeliveredBehindOurOwnEndOfReading) {
  on_each_side(Interest::peer_closed, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    end_reading(pair.local);
    EXPECT_TRUE(delivers(local, own_end_counts() ? "peer_closed" : ""));
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, own_end_counts() ? "" : "peer_closed"));
  });
}

TEST_P(PeerClosedOfMptcp, IsNotAReset) {
  for (const Interest interest : {reading, Interest::peer_closed, Interest::none}) {
    on_each_side(interest, [&](Pair& pair, Recorder& local) {
      EXPECT_TRUE(delivers_nothing(local));
      reset_connection(pair.peer);
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      EXPECT_TRUE(sleeps());
    });
  }
}

POLLUX_ON_EACH_KIND(PeerClosedOfMptcp, tcp);

}  // namespace
}  // namespace pollux::conformance
