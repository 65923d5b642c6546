// SPDX-License-Identifier: MIT
// Rule 7: one's own shutdown. SHUT_RD: end_of_stream once what had arrived is read, and what the
// peer sends later is not reported. SHUT_WR alone: no event. Both, in either order: end_of_stream,
// hangup. Goal: each direction alone, both orders, and the peer's end in between.
#include <cerrno>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class OwnShutdown : public OnEachKind {};

TEST_P(OwnShutdown, OfReadingIsTheEndOfTheStream) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        EXPECT_EQ(read_bytes(pair.local), system_facts().own_shutdown_leaves_unread ? 0 : -EPIPE);
      });
}

TEST_P(OwnShutdown, OfReadingLeavesWritingAsItWas) {
  before_and_after(
      Interest::readable | Interest::writable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream writable"));
        EXPECT_EQ(write_bytes(pair.local, "abc"), 3);
        EXPECT_EQ(read_bytes(pair.peer), 3);
      });
}

TEST_P(OwnShutdown, OfReadingLetsWhatHadArrivedBeReadFirst) {
  if (!system_facts().own_shutdown_leaves_unread)
    return RecordProperty("not_played", "nothing can be read behind an own shutdown here");
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_reading(pair.local);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 2), 2);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 2), 1);
        EXPECT_TRUE(delivers(local, "end_of_stream"));
      });
}

TEST_P(OwnShutdown, OfReadingIsNotDeliveredWhilePaused) {
  while_paused([](Pair& pair) { end_reading(pair.local); },
               [&](Pair&, Recorder& local) {
                 EXPECT_TRUE(delivers_nothing(local));
                 local.watch.set_interest(Interest::readable);
                 EXPECT_TRUE(delivers(local, "end_of_stream"));
               });
}

TEST_P(OwnShutdown, OfReadingByTheHandlerIsTheEndOfTheStream) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent& event) {
    if (!event.readable()) return;
    EXPECT_EQ(drain(pair.local), 3u);
    end_reading(pair.local);
  });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable end_of_stream"));
}

TEST_P(OwnShutdown, OfReadingIsInvisibleToThePeer) {
  Pair pair = make_pair(kind());
  Recorder peer{reactor(), pair.peer, Interest::readable | Interest::peer_closed};
  end_reading(pair.local);
  EXPECT_EQ(write_bytes(pair.peer, "abc"), is_tcp(kind()) ? 3 : -EPIPE);
  EXPECT_TRUE(delivers_nothing(peer));
  EXPECT_TRUE(sleeps());
}

TEST_P(OwnShutdown, OfWritingIsNoEvent) {
  for (const Interest interest : {Interest::none, Interest::readable, Interest::peer_closed,
                                  Interest::readable | Interest::peer_closed}) {
    before_and_after(
        interest, [](Pair& pair) { end_writing(pair.local); },
        [&](Pair& pair, Recorder& local) {
          EXPECT_TRUE(delivers_nothing(local));
          EXPECT_EQ(write_bytes(pair.local, "x"), -EPIPE);
          EXPECT_TRUE(delivers_nothing(local));
        });
  }
}

TEST_P(OwnShutdown, OfWritingLeavesReadingAsItWas) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_writing(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        EXPECT_EQ(read_bytes(pair.peer), 0);
        EXPECT_EQ(write_bytes(pair.peer, "abc"), 3);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local), 3);
        EXPECT_TRUE(delivers_nothing(local));
        shutdown_write(pair.peer);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(OwnShutdown, OfBothDirectionsIsTheEndAndHangup) {
  const std::pair<const char*, History> orders[] = {
      {"at once", [](Pair& pair) { end_both(pair.local); }},
      {"reading first",
       [](Pair& pair) {
         end_reading(pair.local);
         end_writing(pair.local);
       }},
      {"writing first", [](Pair& pair) {
         end_writing(pair.local);
         end_reading(pair.local);
       }}};
  for (const auto& [order, history] : orders) {
    SCOPED_TRACE(order);
    const Story story = [](Pair&, Recorder& local) {
      EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
    };
    before_and_after(Interest::readable, history, story);
    while_paused(history, story);
  }
}

TEST_P(OwnShutdown, OfOneDirectionAfterTheOtherIsDeliveredWhenItCompletesTheEnd) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        end_writing(pair.local);
        EXPECT_TRUE(delivers(local, "hangup"));
      });
  before_and_after(
      Interest::readable, [](Pair& pair) { end_writing(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        end_reading(pair.local);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(OwnShutdown, OfBothDirectionsLetsWhatHadArrivedBeReadFirst) {
  if (!system_facts().own_shutdown_leaves_unread)
    return RecordProperty("not_played", "nothing can be read behind an own shutdown here");
  before_and_after(
      Interest::readable | Interest::writable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        end_both(pair.local);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(OwnShutdown, OfWritingAndThePeersEndMakeAHangup) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        end_writing(pair.local);
        shutdown_write(pair.peer);
      },
      [&](Pair&, Recorder& local) { EXPECT_TRUE(delivers(local, "end_of_stream hangup")); });
}

TEST_P(OwnShutdown, ThePeerLearnsOfBothDirections) {
  Pair pair = make_pair(kind());
  Recorder peer{reactor(), pair.peer, Interest::readable};
  end_both(pair.local);
  EXPECT_TRUE(delivers(peer, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
}

POLLUX_ON_EACH_KIND(OwnShutdown, sockets);

/// By StreamWatch::shutdown(), which has the loop look: kept also where a kernel reports nothing of
/// one's own shutdown.
class OwnShutdownThroughTheWatch : public OnEachKind {};

TEST_P(OwnShutdownThroughTheWatch, OfReadingIsTheEndOfTheStream) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.watch.shutdown(Shutdown::read);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  EXPECT_EQ(write_bytes(pair.local, "abc"), 3);
  EXPECT_TRUE(sleeps());
}

TEST_P(OwnShutdownThroughTheWatch, OfWritingIsNoEventAndEndsThePeersReading) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.watch.shutdown(Shutdown::write);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_EQ(read_bytes(pair.peer), 0);
  EXPECT_TRUE(sleeps());
}

TEST_P(OwnShutdownThroughTheWatch, OfBothIsTheEndAndHangupAtOnceAndOneAfterTheOther) {
  {
    Pair pair = make_pair(kind());
    Recorder local{reactor(), pair.local, Interest::none};
    local.watch.shutdown(Shutdown::both);
    EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  }
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.watch.shutdown(Shutdown::read);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  local.watch.shutdown(Shutdown::write);
  EXPECT_TRUE(delivers(local, "hangup"));
}

TEST_P(OwnShutdownThroughTheWatch, ByItsHandlerIsDeliveredByTheNextTurn) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent& event) {
    if (!event.readable()) return;
    EXPECT_EQ(drain(pair.local), 3u);
    local.watch.shutdown(Shutdown::both);
  });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable end_of_stream hangup"));
}

TEST_P(OwnShutdownThroughTheWatch, IsRefusedOnceTheWatchOrItsDescriptorHasGone) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  std::error_code error;
  pair.local.close();
  local.watch.shutdown(Shutdown::read, error);
  EXPECT_EQ(error, Errc::watch_closed);
  local.watch.reset();
  local.watch.shutdown(Shutdown::both, error);
  EXPECT_EQ(error, Errc::watch_closed);
}

POLLUX_ON_EACH_KIND(OwnShutdownThroughTheWatch, sockets);

class OwnShutdownOfTcp : public OnEachKind {};

TEST_P(OwnShutdownOfTcp, OfReadingSilencesWhatThePeerSendsLater) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        EXPECT_EQ(write_bytes(pair.peer, "later"), 5);
        EXPECT_TRUE(delivers_nothing(local));
        local.watch.set_interest(Interest::none);
        local.watch.set_interest(Interest::readable);
        EXPECT_TRUE(delivers_nothing(local));
        if (system_facts().own_shutdown_leaves_unread) {
          EXPECT_EQ(read_bytes(pair.local), 5) << "the kernel still hands it out";
        }
        pair.peer.close();
        EXPECT_TRUE(delivers_nothing(local));
      });
}

TEST_P(OwnShutdownOfTcp, OfReadingAndLaterDataStillEndWithHangup) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        EXPECT_EQ(write_bytes(pair.peer, "later"), 5);
        EXPECT_TRUE(delivers_nothing(local));
        end_writing(pair.local);
        EXPECT_TRUE(delivers(local, "hangup"));
      });
}

TEST_P(OwnShutdownOfTcp, OfReadingIsStillFollowedByAReset) {
  before_and_after(
      Interest::readable, [](Pair& pair) { end_reading(pair.local); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        reset_by_peer(pair);
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

POLLUX_ON_EACH_KIND(OwnShutdownOfTcp, tcp);

}  // namespace
}  // namespace pollux::conformance
