// SPDX-License-Identifier: MIT
// Readiness watches, as the contract's words define them: readable and writable; hang-up and error
// wake whichever of the two was asked for; nothing is probed or consumed (rule 10), nothing is
// heard without an interest, and what cannot be watched as a stream can be watched so (rule 14).
#include <cerrno>
#include <chrono>
#include <optional>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

constexpr Interest both = Interest::readable | Interest::writable;

/// Watches for readiness, and adds up what it is told.
class Listening {
 public:
  Listening(Reactor& reactor, const Handle& handle, Interest interest)
      : watch{reactor.watch(handle.get(), interest,
                            [this](Readiness readiness) {
                              ++calls_;
                              if (readiness.readable()) received_ |= Interest::readable;
                              if (readiness.writable()) received_ |= Interest::writable;
                            })},
        reactor_{reactor} {}
  Listening(Listening&&) = delete;

  /// What is told from now on, within a few turns if it is `expected`, and forgotten then.
  Interest readiness_until(Interest expected) {
    if (expected != Interest::none) run_until(reactor_, [&] { return received_ == expected; });
    settle(reactor_);
    return std::exchange(received_, Interest::none);
  }
  int calls() const noexcept { return calls_; }

  Watch watch;

 private:
  Reactor& reactor_;
  Interest received_ = Interest::none;
  int calls_ = 0;
};

class AReadinessWatch : public OnEachKind {
 protected:
  void expect_delivered(Listening& local, Interest expected) {
    EXPECT_EQ(to_string(local.readiness_until(expected)), to_string(expected));
  }
};

TEST_P(AReadinessWatch, IsReadableForAsLongAsAByteIsThere) {
  const Pair pair = make_pair(kind());
  Listening local{reactor(), pair.local, Interest::readable};
  expect_delivered(local, Interest::none);
  write_bytes(pair.peer, "ab");
  expect_delivered(local, Interest::readable);
  EXPECT_EQ(read_bytes(pair.local, 1), 1);
  expect_delivered(local, Interest::readable);
  EXPECT_EQ(read_bytes(pair.local, 1), 1);
  expect_delivered(local, Interest::none);
  EXPECT_TRUE(sleeps());
}

TEST_P(AReadinessWatch, IsWritableForAsLongAsThereIsRoom) {
  const Pair pair = make_pair(kind());
  Listening peer{reactor(), pair.peer, Interest::writable};
  expect_delivered(peer, Interest::writable);
  fill(pair.peer);
  expect_delivered(peer, Interest::none);
  drain(pair.local);
  expect_delivered(peer, Interest::writable);
}

TEST_P(AReadinessWatch, IsReadableAtTheEndForAsLongAsItIsAskedFor) {
  Pair pair = make_pair(kind());
  Listening local{reactor(), pair.local, Interest::readable};
  pair.peer.close();
  expect_delivered(local, Interest::readable);
  expect_delivered(local, Interest::readable);
  EXPECT_EQ(read_bytes(pair.local), 0);
  local.watch.set_interest(Interest::none);
  expect_delivered(local, Interest::none);
  EXPECT_TRUE(sleeps());
}

TEST_P(AReadinessWatch, WithoutAnInterestReceivesNothingAndMakesNoTurn) {
  Pair pair = make_pair(kind());
  Listening local{reactor(), pair.local, Interest::none};
  write_bytes(pair.peer, "abc");
  expect_delivered(local, Interest::none);
  pair.peer.close();
  expect_delivered(local, Interest::none);
  EXPECT_TRUE(sleeps());
  local.watch.set_interest(Interest::readable);
  expect_delivered(local, Interest::readable);
}

TEST_P(AReadinessWatch, ThatEndsReceivesNothingMore) {
  const Pair pair = make_pair(kind());
  Listening local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "abc");
  expect_delivered(local, Interest::readable);
  local.watch.reset();
  const int calls = local.calls();
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(local.calls(), calls);
}

TEST_P(AReadinessWatch, MayBeEndedByItsOwnHandler) {
  const Pair pair = make_pair(kind());
  int calls = 0;
  Watch watch;
  watch = reactor().watch(pair.local.get(), Interest::readable, [&](Readiness) {
    ++calls;
    watch.reset();
  });
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(calls, 1);
}

POLLUX_ON_EACH_KIND(AReadinessWatch, streams);

class AReadinessWatchOfASocket : public AReadinessWatch {};

TEST_P(AReadinessWatchOfASocket, IsWokenByAnErrorWhicheverWasAskedFor) {
  for (const Interest interest : {Interest::readable, Interest::writable, both}) {
    Pair pair = make_pair(kind());
    Listening local{reactor(), pair.local, interest};
    reset_by_peer(pair);
    expect_delivered(local, interest);
  }
}

TEST_P(AReadinessWatchOfASocket, LeavesTheErrorToItsOwner) {
  for (const Interest interest : {Interest::readable, Interest::writable, both}) {
    Pair pair = make_pair(kind());
    Listening local{reactor(), pair.local, interest};
    reset_by_peer(pair);
    expect_delivered(local, interest);
    EXPECT_EQ(read_bytes(pair.local), read_of_a_reset());
  }
}

TEST_P(AReadinessWatchOfASocket, IsWokenByAHangUpWhicheverWasAskedFor) {
  if (!system_facts().own_shutdown_is_reported)
    return RecordProperty("not_played", "a shutdown by hand is not reported here");
  for (const Interest interest : {Interest::readable, Interest::writable, both}) {
    const Pair pair = make_pair(kind());
    Listening local{reactor(), pair.local, interest};
    end_both(pair.local);
    expect_delivered(local, interest);
  }
}

POLLUX_ON_EACH_KIND(AReadinessWatchOfASocket, sockets);

class AReadinessWatchOfAPipe : public AReadinessWatch {};

TEST_P(AReadinessWatchOfAPipe, IsWokenByALostWriterWhicheverWasAskedFor) {
  for (const Interest interest : {Interest::readable, Interest::writable, both}) {
    // A reading end cannot be written to: to ask only for that is to ask for failures.
    if (interest == Interest::writable && !any(reactor().backend_reports(), RawReady::err))
      continue;
    Pair pair = make_pair(kind());
    Listening reader{reactor(), pair.local, interest};
    expect_delivered(reader, Interest::none);
    pair.peer.close();
    expect_delivered(reader, interest);
  }
}

TEST_P(AReadinessWatchOfAPipe, IsWokenByALostReaderWhicheverWasAskedForAlsoWhenFull) {
  for (const Interest interest : {Interest::readable, Interest::writable, both}) {
    Pair pair = make_pair(kind());
    fill(pair.peer);
    Listening writer{reactor(), pair.peer, interest};
    expect_delivered(writer, Interest::none);
    pair.local.close();
    expect_delivered(writer, interest);
  }
}

POLLUX_ON_EACH_KIND(AReadinessWatchOfAPipe, pipes);

class AReadinessWatchOfAListener : public AReadinessWatch {};

TEST_P(AReadinessWatchOfAListener, IsReadableForAsLongAsAConnectionWaits) {
  const Handle listener = make_listener(kind());
  Listening local{reactor(), listener, Interest::readable};
  expect_delivered(local, Interest::none);
  const Handle client = start_connect(kind(), listener);
  expect_delivered(local, Interest::readable);
  const Handle server = accept_one(listener);
  local.readiness_until(Interest::none);
  expect_delivered(local, Interest::none);
}

POLLUX_ON_EACH_KIND(AReadinessWatchOfAListener, sockets);

class AReadinessWatchOfPackets : public OnEachBackend {};

TEST_P(AReadinessWatchOfPackets, TakesAPacketOfNoBytesForNoEndOfAnything) {
  const std::optional<Pair> pair = make_packet_pair();
  if (!pair) return RecordProperty("not_played", "no AF_UNIX sockets of packets here");
  const Handle& local = pair->local;
  const Handle& peer = pair->peer;
  int calls = 0;
  const Watch watch = reactor().watch(local.get(), Interest::readable, [&](Readiness) { ++calls; });
  EXPECT_EQ(write_nothing(peer), 0);
  reactor().run_once(5s);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(read_bytes(local), 0);
  EXPECT_TRUE(sleeps());
  write_bytes(peer, "abc");
  reactor().run_once(5s);
  EXPECT_EQ(calls, 2);
}

POLLUX_ON_EACH_BACKEND(AReadinessWatchOfPackets);

}  // namespace
}  // namespace pollux::conformance
