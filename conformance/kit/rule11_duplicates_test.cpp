// SPDX-License-Identifier: MIT
// Rule 11: watches on duplicates of a descriptor are independent; closing a watched descriptor
// without unwatching it is a mistake the library survives: no event reaches the wrong watch,
// nothing spins. Goal: both, with a duplicate that keeps the file alive, without one, and with the
// number given out anew.
#include <cerrno>
#include <system_error>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

/// Makes `number`, which must be free, another name of what `handle` is.
Handle duplicate_as(const Handle& handle, NativeHandle number) {
  Handle copy = duplicate_at(handle, number);
  EXPECT_TRUE(copy);
  return copy;
}

class Duplicates : public OnEachKind {};

TEST_P(Duplicates, BothLearnOfTheSameBytesAndReadingOneClearsTheOther) {
  const Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder other{reactor(), copy, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(delivers(other, "readable"));
  EXPECT_EQ(drain(copy), 3u);
  local.forget();
  other.forget();
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(delivers_nothing(other));
}

TEST_P(Duplicates, EachIsDeliveredTheEnd) {
  Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder other{reactor(), copy, Interest::readable};
  pair.peer.close();
  const auto end = is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup";
  EXPECT_TRUE(delivers(local, end));
  EXPECT_TRUE(delivers(other, end));
  EXPECT_TRUE(sleeps());
}

TEST_P(Duplicates, HaveInterestsOfTheirOwn) {
  const Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::none};
  Recorder other{reactor(), copy, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(delivers(other, "readable"));
  other.watch.set_interest(Interest::none);
  local.watch.set_interest(Interest::readable);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(delivers_nothing(other));
}

TEST_P(Duplicates, MayBeWatchedByAReactorEachWhichDoNotKnowOfOneAnother) {
  Reactor second{make_contestant(backend())};
  const Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder other{second, copy, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(delivers(other, "readable"));
  local.watch.reset();
  other.forget();
  EXPECT_TRUE(delivers(other, "readable"));
}

TEST_P(Duplicates, UnwatchingAndClosingOneLeavesTheOther) {
  Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder other{reactor(), copy, Interest::readable};
  local.watch.reset();
  pair.local.close();
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(other, "readable"));
  EXPECT_TRUE(local.events().empty());
}

TEST_P(Duplicates, ClosingOneIsNotSeenByThePeerAndClosingTheLastIs) {
  // Of a pipe it is the reading end that learns of the other's end.
  Pair pair = make_pair(kind());
  Handle copy = duplicate(pair.peer);
  Recorder local{reactor(), pair.local, Interest::readable | Interest::peer_closed};
  local.ignore(Event::peer_closed);
  pair.peer.close();
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  copy.close();
  EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
}

POLLUX_ON_EACH_KIND(Duplicates, streams);

class DuplicatesOfASocket : public OnEachKind {};

TEST_P(DuplicatesOfASocket, AShutdownOfReadingThroughOneIsDeliveredToBoth) {
  if (!system_facts().own_shutdown_is_reported)
    return RecordProperty("not_played", "a shutdown by hand is not reported here");
  const Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder other{reactor(), copy, Interest::readable};
  shutdown_read(copy);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  EXPECT_TRUE(delivers(other, "end_of_stream"));
}

TEST_P(DuplicatesOfASocket, AShutdownOfWritingThroughOneIsDeliveredToThePeer) {
  const Pair pair = make_pair(kind());
  const Handle copy = duplicate(pair.local);
  Recorder local{reactor(), pair.local, Interest::readable};
  Recorder peer{reactor(), pair.peer, Interest::readable};
  shutdown_write(copy);
  EXPECT_TRUE(delivers(peer, "end_of_stream"));
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_EQ(write_bytes(pair.local, "x"), -EPIPE);
}

POLLUX_ON_EACH_KIND(DuplicatesOfASocket, sockets);

// The mistake: a watched descriptor is closed.

class ClosedUnderItsWatch : public OnEachKind {
 protected:
  /// The loop has come upon what was closed, and is quiet.
  testing::AssertionResult comes_to_rest() {
    // A registration that reports for ever is looked at now and then, not with every report.
    for (int i = 0; i < 600; ++i) reactor().poll();
    return sleeps();
  }
};

TEST_P(ClosedUnderItsWatch, AReaderReceivesNothingMoreAndTheLoopSleeps) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  pair.local.close();
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(ClosedUnderItsWatch, WithADuplicateAliveTheLoopComesToRest) {
  for (const bool peer_closed : {false, true}) {
    for (const Interest interest : {Interest::readable, Interest::none, Interest::peer_closed,
                                    Interest::readable | Interest::writable}) {
      SCOPED_TRACE(to_string(interest) + (peer_closed ? ", the peer closed" : ""));
      Pair pair = make_pair(kind());
      Recorder local{reactor(), pair.local, interest};
      local.ignore(Event::writable);
      EXPECT_TRUE(delivers_nothing(local));
      const Handle copy = duplicate(pair.local);
      pair.local.close();
      write_bytes(pair.peer, "abc");
      if (peer_closed) pair.peer.close();
      EXPECT_TRUE(comes_to_rest());
    }
  }
}

TEST_P(ClosedUnderItsWatch, WithADuplicateAliveItsUnwatchedRegistrationIsSurvived) {
  Pair pair = make_pair(kind());
  Pair innocent = make_pair(kind());
  Recorder bystander{reactor(), innocent.local, Interest::readable};
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  local.watch.reset();  // the kernel refuses: bad descriptor
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(delivers_nothing(bystander));
  write_bytes(innocent.peer, "abc");
  EXPECT_TRUE(delivers(bystander, "readable"));
}

TEST_P(ClosedUnderItsWatch, TheDuplicateMayBeWatchedAndReceivesEverything) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  local.watch.reset();
  Recorder other{reactor(), copy, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(other, "readable"));
  EXPECT_EQ(drain(copy), 3u);
  EXPECT_TRUE(sleeps());
  pair.peer.close();
  EXPECT_TRUE(delivers(other, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
  EXPECT_TRUE(local.events().empty());
}

TEST_P(ClosedUnderItsWatch, AnotherFileWithItsNumberIsNotItsOwn) {
  Pair pair = make_pair(kind());
  Pair fresh = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const NativeHandle number = pair.local.get();
  pair.local.close();
  const Handle reused = duplicate_as(fresh.local, number);
  write_bytes(fresh.peer, "not for the old watch");
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(ClosedUnderItsWatch, AnotherFileWithItsNumberMayBeWatched) {
  for (const bool duplicate_alive : {false, true}) {
    SCOPED_TRACE(duplicate_alive ? "with a duplicate alive" : "without a duplicate");
    Pair pair = make_pair(kind());
    Pair fresh = make_pair(kind());
    Recorder old{reactor(), pair.local, Interest::readable};
    EXPECT_TRUE(delivers_nothing(old));
    const Handle copy = duplicate_alive ? duplicate(pair.local) : Handle{};
    const NativeHandle number = pair.local.get();
    pair.local.close();
    const Handle reused = duplicate_as(fresh.local, number);
    Recorder local{reactor(), reused, Interest::readable};
    write_bytes(pair.peer, "for nobody");
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_TRUE(delivers_nothing(old));
    EXPECT_TRUE(sleeps());
    write_bytes(fresh.peer, "for the new watch");
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_TRUE(delivers_nothing(old));
    std::error_code error;
    old.watch.set_interest(Interest::none, error);
    EXPECT_EQ(error, Errc::watch_closed);
    old.watch.reset();
    EXPECT_TRUE(delivers(local, "readable"))
        << "unwatching the old one has taken the new one along";
  }
}

TEST_P(ClosedUnderItsWatch, AnotherFileWithTheNumberOfAnUnwatchedOneMayBeWatched) {
  Pair pair = make_pair(kind());
  Pair fresh = make_pair(kind());
  Recorder old{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(old));
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  old.watch.reset();
  const Handle reused = duplicate_as(fresh.local, number);
  Recorder local{reactor(), reused, Interest::readable};
  write_bytes(pair.peer, "for nobody");
  write_bytes(fresh.peer, "for the new watch");
  EXPECT_TRUE(delivers(local, "readable"));
  drain(reused);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(old.events().empty());
}

TEST_P(ClosedUnderItsWatch, TheSameFileWithItsNumberIsStillWatched) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  const Handle again = duplicate_as(copy, number);
  std::error_code error;
  const StreamWatch second = reactor().watch_stream(
      number, Interest::readable, [](const StreamEvent&) {}, error);
  EXPECT_EQ(error, std::errc::file_exists);
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  drain(again);
  EXPECT_TRUE(sleeps());
}

TEST_P(ClosedUnderItsWatch, TheSameFileWithTheNumberOfAnUnwatchedOneMayBeWatched) {
  Pair pair = make_pair(kind());
  Recorder old{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(old));
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  old.watch.reset();
  const Handle again = duplicate_as(copy, number);
  Recorder local{reactor(), again, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  drain(again);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(old.events().empty());
}

TEST_P(ClosedUnderItsWatch, ItsWatchMayBeChangedAndEnded) {
  for (const bool duplicate_alive : {false, true}) {
    Pair pair = make_pair(kind());
    Recorder local{reactor(), pair.local, Interest::readable};
    EXPECT_TRUE(delivers_nothing(local));
    const Handle copy = duplicate_alive ? duplicate(pair.local) : Handle{};
    pair.local.close();
    pair.peer.close();
    std::error_code error;
    // The kernel is asked at the next turn, and its refusal is known from then on. (Of a pipe's end
    // there may be nothing new to ask.)
    local.watch.set_interest(Interest::writable, error);
    EXPECT_TRUE(comes_to_rest());
    local.watch.set_interest(Interest::none, error);
    EXPECT_TRUE(comes_to_rest());
    local.watch.set_interest(Interest::readable, error);
    EXPECT_TRUE(error == Errc::watch_closed || (kind() == PairKind::pipe && !error)) << error;
    local.watch.reset();
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(ClosedUnderItsWatch, ItIsNotDeliveredTheRoomInAnotherFileWithItsNumber) {
  if (kind() == PairKind::pipe) return;  // nobody writes to a reading end
  Pair pair = make_pair(kind());
  Pair fresh = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const NativeHandle number = pair.local.get();
  local.watch.set_interest(Interest::readable | Interest::writable);
  pair.local.close();
  const Handle reused = duplicate_as(fresh.local, number);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(comes_to_rest());
}

TEST_P(ClosedUnderItsWatch, ItDoesNotTakeTheErrorOfAnotherFileWithItsNumber) {
  if (kind() == PairKind::pipe) return;  // it has none
  Pair pair = make_pair(kind());
  Pair fresh = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  const NativeHandle number = pair.local.get();
  local.watch.set_interest(Interest::readable | Interest::writable);
  pair.local.close();
  const Handle reused = duplicate_as(fresh.local, number);
  write_bytes(reused, "left unread by the peer");
  reset_connection(fresh.peer);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_EQ(read_bytes(reused), read_of_a_reset());
}

POLLUX_ON_EACH_KIND(ClosedUnderItsWatch, streams);

}  // namespace
}  // namespace pollux::conformance
