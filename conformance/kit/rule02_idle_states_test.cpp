// SPDX-License-Identifier: MIT
// Rule 2: an idle loop in any half-closed or terminal state uses no CPU. Goal: a test for each
// state, in which the backend is asked for exactly one wait in 100 ms, the one that runs into the
// deadline. One state is exempt by rule 15: where peer_closed is still due, bytes are unread, and
// the backend has to look for the FIN itself, a timer looks now and then. Its test says how often
// that may be.
#include <chrono>
#include <initializer_list>
#include <memory>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AnIdleLoop : public OnEachKind {
 protected:
  using Quiet = std::function<void(Pair& pair, Recorder& local)>;

  /// Once streams with each of `interests` have heard what `history` means, the loop has nothing to
  /// do.
  void sleeps_after(std::initializer_list<Interest> interests, std::string_view story,
                    const Quiet& history) {
    std::vector<Pair> pairs(interests.size());
    std::vector<std::unique_ptr<Recorder>> locals;
    for (const Interest interest : interests) {
      SCOPED_TRACE(to_string(interest));
      Pair& pair = pairs[locals.size()] = make_pair(kind());
      locals.push_back(std::make_unique<Recorder>(reactor(), pair.local, interest));
      Recorder& local = *locals.back();
      local.ignore(Event::peer_closed);
      history(pair, local);
      EXPECT_TRUE(delivers(local, story));
    }
    EXPECT_TRUE(sleeps(100ms));
    for (const auto& local : locals) EXPECT_TRUE(delivers_nothing(*local));
  }

  static constexpr Interest reading = Interest::readable;
  static constexpr Interest reading_all = Interest::readable | Interest::peer_closed;
  static constexpr Interest paused = Interest::none;
  static constexpr Interest paused_all = Interest::peer_closed;
};

TEST_P(AnIdleLoop, SleepsOnAnOpenStream) {
  sleeps_after({reading, reading_all, paused, paused_all}, "", [](Pair&, Recorder&) {});
}

TEST_P(AnIdleLoop, SleepsOnBytesThatNobodyWants) {
  sleeps_after({paused}, "", [](Pair& pair, Recorder&) { write_bytes(pair.peer, "abc"); });
}

TEST_P(AnIdleLoop, SleepsWhilePausedAtBytesAndTheEnd) {
  sleeps_after({paused}, "", [](Pair& pair, Recorder&) {
    write_bytes(pair.peer, "abc");
    pair.peer.close();
  });
}

TEST_P(AnIdleLoop, SleepsAfterTheEndOfAStreamThatThePeerClosed) {
  sleeps_after({reading, reading_all}, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup",
               [](Pair& pair, Recorder&) { pair.peer.close(); });
}

TEST_P(AnIdleLoop, SleepsAfterPausingAtTheEnd) {
  sleeps_after(
      {reading, reading_all}, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup",
      [](Pair& pair, Recorder& local) {
        pair.peer.close();
        local.on_event([&local](const StreamEvent&) { local.watch.set_interest(Interest::none); });
      });
}

TEST_P(AnIdleLoop, SleepsOnAHeldStreamThatIsOverWithBytesUnread) {
  sleeps_after({paused, paused_all, Interest::writable, Interest::writable | paused_all}, "",
               [&](Pair& pair, Recorder& local) {
                 local.ignore(Event::peer_closed | Event::writable);
                 write_bytes(pair.peer, "abc");
                 pair.peer.close();
                 if (kind() != PairKind::pipe) end_writing(pair.local);
               });
}

TEST_P(AnIdleLoop, SleepsAfterAHeldStreamWasReadByItsOwner) {
  sleeps_after({paused}, "", [&](Pair& pair, Recorder& local) {
    write_bytes(pair.peer, "abc");
    pair.peer.close();
    if (kind() != PairKind::pipe) end_writing(pair.local);
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_EQ(drain(pair.local), 3u);
  });
}

TEST_P(AnIdleLoop, SleepsAfterTheWatchOfAnEndedStreamIsGone) {
  sleeps_after({reading}, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup",
               [](Pair& pair, Recorder& local) {
                 pair.peer.close();
                 local.on_event([&local](const StreamEvent&) { local.watch.reset(); });
               });
}

POLLUX_ON_EACH_KIND(AnIdleLoop, streams);

class AnIdleLoopOnSockets : public AnIdleLoop {};

TEST_P(AnIdleLoopOnSockets, SleepsAfterAPeersHalfClose) {
  sleeps_after({reading, reading_all}, "end_of_stream",
               [](Pair& pair, Recorder&) { shutdown_write(pair.peer); });
}

TEST_P(AnIdleLoopOnSockets, SleepsWhilePausedAtAPeersHalfClose) {
  sleeps_after({paused, paused_all}, "", [](Pair& pair, Recorder&) { shutdown_write(pair.peer); });
}

TEST_P(AnIdleLoopOnSockets, SleepsWhilePausedAtAPeersHalfCloseBehindBytes) {
  sleeps_after({paused}, "", [](Pair& pair, Recorder&) {
    write_bytes(pair.peer, "abc");
    shutdown_write(pair.peer);
  });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterItsOwnEndOfWriting) {
  sleeps_after({reading, reading_all, paused, paused_all}, "",
               [](Pair& pair, Recorder&) { end_writing(pair.local); });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterItsOwnEndOfReading) {
  sleeps_after({reading, reading_all}, "end_of_stream",
               [](Pair& pair, Recorder&) { end_reading(pair.local); });
}

TEST_P(AnIdleLoopOnSockets, SleepsWhilePausedAfterItsOwnEndOfReading) {
  sleeps_after({paused}, "", [](Pair& pair, Recorder&) { end_reading(pair.local); });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterBothItsOwnShutdowns) {
  sleeps_after({reading, reading_all, paused, paused_all, Interest::writable},
               "end_of_stream hangup", [](Pair& pair, Recorder& local) {
                 local.ignore(Event::peer_closed | Event::writable);
                 end_both(pair.local);
               });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterHangup) {
  sleeps_after({reading, reading_all, paused, paused_all, Interest::writable},
               "end_of_stream hangup", [](Pair& pair, Recorder& local) {
                 local.ignore(Event::peer_closed | Event::writable);
                 shutdown_write(pair.peer);
                 end_writing(pair.local);
               });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterAnError) {
  sleeps_after({reading, reading_all, paused, paused_all, Interest::writable}, "error hangup",
               [](Pair& pair, Recorder&) { reset_by_peer(pair); });
}

TEST_P(AnIdleLoopOnSockets, SleepsAfterAnErrorBehindTheEnd) {
  sleeps_after({reading, reading_all}, "end_of_stream error hangup",
               [](Pair& pair, Recorder& local) {
                 shutdown_write(pair.peer);
                 local.on_event([&pair](const StreamEvent& event) {
                   if (event.end_of_stream()) reset_by_peer(pair);
                 });
               });
}

TEST_P(AnIdleLoopOnSockets, SleepsWhenNoRoomIsLeftToWrite) {
  sleeps_after({Interest::writable, Interest::writable | reading}, "",
               [](Pair& pair, Recorder& local) {
                 fill(pair.local);
                 local.ignore(Event::writable | Event::peer_closed);
               });
}

TEST_P(AnIdleLoopOnSockets, SleepsOnASocketThatWasNeverConnected) {
  const Handle socket = make_socket(kind());
  Recorder local{reactor(), socket, reading};
  EXPECT_TRUE(delivers(local, "error hangup"));
  EXPECT_TRUE(sleeps(100ms));
}

POLLUX_ON_EACH_KIND(AnIdleLoopOnSockets, sockets);

class AnIdleLoopOnTcp : public AnIdleLoop {};

TEST_P(AnIdleLoopOnTcp, SleepsAfterARefusedConnect) {
  const Handle socket = start_refused_connect(kind());
  Recorder local{reactor(), socket, reading};
  EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_refused));
  EXPECT_TRUE(sleeps(100ms));
}

TEST_P(AnIdleLoopOnTcp, SleepsWhilePeerClosedIsDeliveredAndBytesAreUnread) {
  const auto story = system_facts().unread_bytes_hide_fin ? "" : "peer_closed";
  sleeps_after({paused_all}, story, [](Pair& pair, Recorder& local) {
    local.ignore(Event::none);
    write_bytes(pair.peer, "abc");
    shutdown_write(pair.peer);
  });
}

TEST_P(AnIdleLoopOnTcp, SleepsWhileDataComesAfterItsOwnEndOfReading) {
  sleeps_after({reading}, "end_of_stream", [](Pair& pair, Recorder& local) {
    end_reading(pair.local);
    local.on_event([&pair](const StreamEvent&) { write_bytes(pair.peer, "later"); });
  });
}

POLLUX_ON_EACH_KIND(AnIdleLoopOnTcp, tcp);

// What needs a look from time to time: peer_closed is due, and what the kernel shows (bytes, or our
// own SHUT_RD) neither is the FIN nor can be asked away.

class ALoopThatLooksForAFin : public OnEachKind {
 protected:
  void expect_only_the_timer(const History& history) {
    // With the timer's first look an hour away, nothing else makes a turn.
    use({.probe_interval_min = 1h, .probe_interval_max = 1h});
    Pair pair = make_pair(kind());
    {
      Recorder local{reactor(), pair.local, Interest::peer_closed};
      history(pair);
      EXPECT_TRUE(sleeps(100ms));
    }
    // With the usual options it backs off: 1, 2, 4 … 64 ms are seven looks, of two waits each.
    use({});
    Recorder local{reactor(), pair.local, Interest::peer_closed};
    settle(reactor());
    EXPECT_LE(waits_in(100ms, reactor()), 16u);
    EXPECT_TRUE(delivers_nothing(local));
  }
};

TEST_P(ALoopThatLooksForAFin, SleepsBetweenTheLooksWhilePausedAtBytes) {
  expect_only_the_timer([](Pair& pair) { write_bytes(pair.peer, "abc"); });
}

TEST_P(ALoopThatLooksForAFin, IsNotNeededWhereTheKernelReportsIt) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::peer_closed};
  write_bytes(pair.peer, "abc");
  if (any(reactor().backend_reports(), RawReady::rdhup)) {
    EXPECT_TRUE(sleeps(100ms));
  }
  EXPECT_TRUE(delivers_nothing(local));
}

POLLUX_ON_EACH_KIND(ALoopThatLooksForAFin, sockets);

class ATcpLoopThatLooksForAFin : public ALoopThatLooksForAFin {};

TEST_P(ATcpLoopThatLooksForAFin, SleepsBetweenTheLooksAfterItsOwnEndOfReading) {
  expect_only_the_timer([](Pair& pair) { end_reading(pair.local); });
}

POLLUX_ON_EACH_KIND(ATcpLoopThatLooksForAFin, tcp);

}  // namespace
}  // namespace pollux::conformance
