// SPDX-License-Identifier: MIT
// Rule 15: peer_closed is a promise: where it is asked for, the peer's FIN is delivered once, on
// every backend, also while nobody reads and while bytes are unread. Its place between two
// `readable`s may differ; that it comes may not, and every other event has the same place with it
// as without. Goal: every state it can come in, and those in which it must not: our own SHUT_RD,
// and a reset.
#include <algorithm>
#include <utility>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

/// How often `recorder` was told of peer_closed.
auto times_delivered(const Recorder& recorder) {
  return std::count_if(recorder.events().begin(), recorder.events().end(),
                       [](const StreamEvent& event) { return event.peer_closed(); });
}

constexpr Interest reading = Interest::readable | Interest::peer_closed;

/// Whether a FIN shows while bytes are unread.
bool shows_behind_bytes() {
  return !system_facts().unread_bytes_hide_fin;
}

/// Three bytes are unread, and the FIN is there: at once; or, where they hide it, with the last
/// one.
void expect_behind_bytes(Recorder& local, const Pair& pair) {
  EXPECT_TRUE(delivers(local, shows_behind_bytes() ? "peer_closed" : ""));
  EXPECT_EQ(drain(pair.local), 3u) << "no byte was consumed";
  EXPECT_TRUE(delivers(local, shows_behind_bytes() ? "" : "peer_closed"));
}

class PeerClosed : public OnEachKind {
 protected:
  /// What hearing the end of a peer that has closed is called.
  std::string_view end_of_a_closed_peer() const {
    return is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup";
  }
};

TEST_P(PeerClosed, ComesBeforeTheEndOfAnEmptyStream) {
  before_and_after(
      reading, [](Pair& pair) { pair.peer.close(); },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(delivers(local, std::string{"peer_closed "}.append(end_of_a_closed_peer())));
      });
}

TEST_P(PeerClosed, ComesOnceWhileAReaderTakesItsTime) {
  before_and_after(
      reading,
      [](Pair& pair) {
        write_bytes(pair.peer, "abcdef");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        local.ignore(Event::peer_closed);
        for (int byte = 0; byte < 6; ++byte) {
          EXPECT_TRUE(delivers(local, "readable"));
          EXPECT_EQ(read_bytes(pair.local, 1), 1);
        }
        EXPECT_TRUE(delivers(local, end_of_a_closed_peer()));
        EXPECT_EQ(times_delivered(local), 1);
      });
}

TEST_P(PeerClosed, IsNotDeliveredUnlessAskedFor) {
  for (const Interest interest : {Interest::readable, Interest::none}) {
    before_and_after(
        interest,
        [](Pair& pair) {
          write_bytes(pair.peer, "abc");
          pair.peer.close();
        },
        [&](Pair& pair, Recorder& local) {
          settle(reactor());
          drain(pair.local);
          settle(reactor());
          EXPECT_EQ(times_delivered(local), 0);
        });
  }
}

TEST_P(PeerClosed, IsNotDeliveredAnOpenStream) {
  before_and_after(
      reading, [](Pair& pair) { write_bytes(pair.peer, "abc"); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers_nothing(local));
      });
}

POLLUX_ON_EACH_KIND(PeerClosed, streams);

class PeerClosedOfASocket : public OnEachKind {
 protected:
  static void half_close(Pair& pair) { shutdown_write(pair.peer); }
  static void bytes_and_half_close(Pair& pair) {
    write_bytes(pair.peer, "abc");
    shutdown_write(pair.peer);
  }
};

TEST_P(PeerClosedOfASocket, LearnsOfAHalfClose) {
  before_and_after(reading, half_close, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "peer_closed end_of_stream"));
  });
}

TEST_P(PeerClosedOfASocket, IsDeliveredWhilePaused) {
  before_and_after(Interest::peer_closed, half_close, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "peer_closed"));
    local.watch.set_interest(reading);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  });
}

TEST_P(PeerClosedOfASocket, IsDeliveredToAWatchThatOnlyWrites) {
  before_and_after(Interest::writable | Interest::peer_closed, half_close,
                   [&](Pair&, Recorder& local) {
                     local.ignore(Event::writable);
                     EXPECT_TRUE(delivers(local, "peer_closed"));
                   });
}

TEST_P(PeerClosedOfASocket, MayBeAskedForAfterTheFact) {
  before_and_after(Interest::none, half_close, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    local.watch.set_interest(Interest::peer_closed);
    EXPECT_TRUE(delivers(local, "peer_closed"));
    local.watch.set_interest(Interest::none);
    local.watch.set_interest(Interest::peer_closed);
    EXPECT_TRUE(delivers_nothing(local));
  });
}

TEST_P(PeerClosedOfASocket, IsNotDeliveredAfterTheEndOfTheStream) {
  before_and_after(Interest::readable, half_close, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    local.watch.set_interest(reading);
    EXPECT_TRUE(delivers_nothing(local));
    local.watch.set_interest(Interest::peer_closed);
    EXPECT_TRUE(delivers_nothing(local));
  });
}

TEST_P(PeerClosedOfASocket, BehindUnreadBytesIsDeliveredAtTheLatestWhenTheLastOneIsRead) {
  before_and_after(Interest::peer_closed, bytes_and_half_close, [&](Pair& pair, Recorder& local) {
    if (shows_behind_bytes() &&
        local.watch.peer_closed_latency() != PeerClosedLatency::after_drain) {
      EXPECT_TRUE(delivers(local, "peer_closed"));
    }
    EXPECT_EQ(drain(pair.local), 3u);
    EXPECT_TRUE(run_until(reactor(), [&] { return times_delivered(local) == 1; }));
    local.forget();
    EXPECT_TRUE(delivers_nothing(local));
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  });
}

TEST_P(PeerClosedOfASocket, LeavesEveryOtherEventInItsPlace) {
  for (const bool asked : {false, true}) {
    before_and_after(asked ? reading : Interest::readable, bytes_and_half_close,
                     [&](Pair& pair, Recorder& local) {
                       local.ignore(Event::peer_closed);
                       EXPECT_TRUE(delivers(local, "readable"));
                       EXPECT_EQ(drain(pair.local), 3u);
                       EXPECT_TRUE(delivers(local, "end_of_stream"));
                       end_writing(pair.local);
                       EXPECT_TRUE(delivers(local, "hangup"));
                       EXPECT_EQ(times_delivered(local), asked ? 1 : 0);
                     });
  }
}

TEST_P(PeerClosedOfASocket, IsNotDeliveredAReset) {
  for (const Interest interest : {reading, Interest{Interest::peer_closed}}) {
    before_and_after(interest, reset_by_peer, [&](Pair&, Recorder& local) {
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
    });
  }
}

TEST_P(PeerClosedOfASocket, IsNotDeliveredAResetBehindBytes) {
  before_and_after(
      reading,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        reset_by_peer(pair);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 3), 3);
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

TEST_P(PeerClosedOfASocket, IsFollowedByTheErrorOfALaterReset) {
  before_and_after(Interest::peer_closed, half_close, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "peer_closed"));
    reset_by_peer(pair);
    EXPECT_TRUE(delivers(local, "error hangup"));
  });
}

TEST_P(PeerClosedOfASocket, IsNotDeliveredOurOwnEndOfWriting) {
  for (const Interest interest : {reading, Interest{Interest::peer_closed}}) {
    before_and_after(
        interest, [](Pair& pair) { end_writing(pair.local); },
        [&](Pair& pair, Recorder& local) {
          EXPECT_TRUE(delivers_nothing(local));
          half_close(pair);
          EXPECT_TRUE(delivers(local, "peer_closed end_of_stream hangup"));
        });
  }
}

TEST_P(PeerClosedOfASocket, SaysHowSoonItComes) {
  const Pair pair = make_pair(kind());
  const Recorder local{reactor(), pair.local, Interest::peer_closed};
  const bool native = any(reactor().backend_reports(), RawReady::rdhup);
  const PeerClosedLatency emulated =
      is_tcp(kind()) ? PeerClosedLatency::probed : PeerClosedLatency::after_drain;
  EXPECT_EQ(local.watch.peer_closed_latency(), native ? PeerClosedLatency::immediate : emulated);
}

POLLUX_ON_EACH_KIND(PeerClosedOfASocket, sockets);

class PeerClosedOfTcp : public OnEachKind {};

TEST_P(PeerClosedOfTcp, IsDeliveredWhilePausedAtUnreadBytes) {
  before_and_after(
      Interest::peer_closed,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) { expect_behind_bytes(local, pair); });
}

TEST_P(PeerClosedOfTcp, IsDeliveredIfTheFinComesLongAfterTheBytes) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::peer_closed};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers_nothing(local));
  reactor().run_for(std::chrono::milliseconds{20});
  EXPECT_TRUE(delivers_nothing(local));
  pair.peer.close();
  expect_behind_bytes(local, pair);
}

TEST_P(PeerClosedOfTcp, IsNotDeliveredOurOwnEndOfReading) {
  for (const Interest interest : {reading, Interest{Interest::peer_closed}}) {
    before_and_after(
        interest, [](Pair& pair) { end_reading(pair.local); },
        [&](Pair&, Recorder& local) {
          EXPECT_TRUE(delivers(local, interest == reading ? "end_of_stream" : ""));
        });
  }
}

TEST_P(PeerClosedOfTcp, LearnsOfThePeersEndAfterOurOwnEndOfReading) {
  before_and_after(
      Interest::peer_closed, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        shutdown_write(pair.peer);
        EXPECT_TRUE(delivers(local, "peer_closed"));
      });
}

TEST_P(PeerClosedOfTcp, IsDeliveredWithoutATimerWhereTheLoopLooksAtEveryTurn) {
  use({.probe_interval_min = {}, .probe_interval_max = {}});
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::peer_closed};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers_nothing(local));
  pair.peer.close();
  expect_behind_bytes(local, pair);
}

POLLUX_ON_EACH_KIND(PeerClosedOfTcp, tcp);

class PeerClosedOfAUnixStream : public OnEachKind {};

TEST_P(PeerClosedOfAUnixStream, LearnsOfOurOwnEndOfReadingToo) {
  // Nothing tells it from the peer's: there an own SHUT_RD counts, on every backend.
  before_and_after(
      reading, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair&, Recorder& local) { EXPECT_TRUE(delivers(local, "peer_closed end_of_stream")); });
  before_and_after(
      Interest::peer_closed, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair&, Recorder& local) { EXPECT_TRUE(delivers(local, "peer_closed")); });
}

POLLUX_ON_EACH_KIND(PeerClosedOfAUnixStream, unix_streams);

class PeerClosedOfAPipe : public OnEachKind {};

TEST_P(PeerClosedOfAPipe, LearnsOfALostWriterBeforeTheBytes) {
  before_and_after(
      reading,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "peer_closed readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(PeerClosedOfAPipe, IsDeliveredWhilePausedAtUnreadBytes) {
  before_and_after(
      Interest::peer_closed,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "peer_closed"));
        local.watch.set_interest(reading);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

POLLUX_ON_EACH_KIND(PeerClosedOfAPipe, pipes);

}  // namespace
}  // namespace pollux::conformance
