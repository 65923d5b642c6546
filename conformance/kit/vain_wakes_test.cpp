// SPDX-License-Identifier: MIT
// Changes of a sleeping watch. A wake in vain: something has woken the kernel's side of a sleeping
// loop, and is gone before the loop comes to look, since a timer, a task or another handler has
// read the bytes. Goal: whatever is done about the watch just then, a change, a pause, an end, is
// done.
#include <functional>
#include <memory>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

/// The peer has written, and it has been read, outside of any handler and of any turn.
void wake_in_vain(const Pair& pair) {
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(drain(pair.local), 3u);
}

/// Whether the peer knows by now that nobody is there any more.
bool is_alone(const Pair& pair, PairKind kind) {
  return await_close(kind, pair.peer, std::chrono::seconds{1});
}

class ASleepingWatch : public OnEachKind {};

TEST_P(ASleepingWatch, MayBeChangedAndWakesNobody) {
  const Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  for (const Interest next : {Interest::readable | Interest::peer_closed, Interest::none,
                              Interest::peer_closed, Interest::readable}) {
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(next);
    EXPECT_TRUE(sleeps()) << to_string(next);
  }
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

POLLUX_ON_EACH_KIND(ASleepingWatch, streams);

class AWakeInVain : public OnEachKind {};

TEST_P(AWakeInVain, IsDeliveredToNobody) {
  const Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(sleeps());
    wake_in_vain(pair);
    EXPECT_TRUE(delivers_nothing(local));
  }
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(AWakeInVain, KeepsNoPauseFromBeingOne) {
  const Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.watch.set_interest(Interest::none);
  EXPECT_TRUE(sleeps());
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  local.watch.set_interest(Interest::readable);
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(AWakeInVain, KeepsNoPauseFromEnding) {
  const Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.watch.set_interest(Interest::none);
  local.watch.set_interest(Interest::readable);
  wake_in_vain(pair);
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.watch.set_interest(Interest::none);
  reactor().poll();
  local.watch.set_interest(Interest::readable);
  EXPECT_TRUE(sleeps());
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(AWakeInVain, KeepsNoFailureFromBeingDeliveredToOneThatIsPaused) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.watch.set_interest(Interest::none);
  EXPECT_TRUE(sleeps());
  pair.peer.close();
  if (is_tcp(kind())) end_writing(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
}

TEST_P(AWakeInVain, KeepsNoFileOpenWhoseWatchEnds) {
  using End = std::function<void(StreamWatch&, Handle&)>;
  const End unwatch = [](StreamWatch& watch, Handle& local) { watch.reset(), local.close(); };
  const End close = [](StreamWatch& watch, Handle& local) { watch.close(), local.release(); };
  for (const End& end : {unwatch, close}) {
    for (const bool changed : {false, true}) {
      for (const Interest interest : {Interest::readable, Interest::readable | Interest::one_shot,
                                      Interest::readable | Interest::peer_closed}) {
        SCOPED_TRACE(to_string(interest) + (changed ? ", changed" : ""));
        Pair pair = make_pair(kind());
        Recorder local{reactor(), pair.local, interest};
        EXPECT_TRUE(sleeps());
        wake_in_vain(pair);
        if (changed) {
          local.watch.set_interest(Interest::none);
          reactor().poll();
          local.watch.set_interest(interest);
          EXPECT_TRUE(sleeps());
          wake_in_vain(pair);
        }
        end(local.watch, pair.local);
        EXPECT_TRUE(is_alone(pair, kind())) << "before the loop turns again";
        EXPECT_TRUE(sleeps());
      }
    }
  }
}

TEST_P(AWakeInVain, KeepsNoFileOpenWhoseReactorEnds) {
  Pair pair = make_pair(kind());
  auto loop = std::make_unique<Reactor>(make_contestant(backend()));
  auto local = std::make_unique<Recorder>(*loop, pair.local, Interest::readable);
  waits_in(glance, *loop);
  wake_in_vain(pair);
  loop.reset();
  pair.local.close();
  EXPECT_TRUE(is_alone(pair, kind()));
}

POLLUX_ON_EACH_KIND(AWakeInVain, streams);

class AWakeInVainOfASocket : public OnEachKind {
 protected:
  const Pair pair = make_pair(kind());
};

TEST_P(AWakeInVainOfASocket, KeepsNothingFromBeingHeardThatIsAskedForThen) {
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.watch.set_interest(Interest::readable | Interest::writable);
  EXPECT_TRUE(delivers(local, "writable"));
}

TEST_P(AWakeInVainOfASocket, KeepsNothingFromBeingHeardByAReadinessWatch) {
  int delivered = 0;
  Watch local = reactor().watch(pair.local.get(), Interest::readable,
                                [&](Readiness ready) { delivered += ready.writable() ? 1 : 0; });
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.set_interest(Interest::writable | Interest::one_shot);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered == 1; }));
  local.set_interest(Interest::readable);
  EXPECT_TRUE(sleeps());
  wake_in_vain(pair);
  local.set_interest(Interest::none);
  EXPECT_TRUE(sleeps());
  local.set_interest(Interest::writable | Interest::one_shot);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered == 2; }));
}

POLLUX_ON_EACH_KIND(AWakeInVainOfASocket, sockets);

}  // namespace
}  // namespace pollux::conformance
