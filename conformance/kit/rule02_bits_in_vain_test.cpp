// SPDX-License-Identifier: MIT
// Rule 2, for bits that stay up with nothing behind them. An urgent byte (MSG_OOB) is no byte of
// the stream: nobody is told of it, and it does not turn the loop, whether it was taken or not.
// What follows is delivered, and so is the end. Goal: urgent data of both families that have it,
// unread and taken, in every interest that a stream can have.
#include <chrono>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

void send_urgent(const Handle& handle) {
  EXPECT_EQ(write_urgent(handle), 1);
}

/// Waits until the urgent byte is there, and takes it.
void take_urgent(const Handle& handle) {
  while (read_urgent(handle) != 1) {
  }
}

class AnUrgentByte : public OnEachKind {
 protected:
  /// The next look, where a system has no edges, is an hour away.
  void use_no_looks() { use({.probe_interval_min = 1h, .probe_interval_max = 1h}); }
  /// Where a system has no edges, what comes next is heard by looking.
  void use_looks() { use({.probe_interval_min = 1ms, .probe_interval_max = 1ms}); }
};

TEST_P(AnUrgentByte, ThatNobodyTakesIsNotDeliveredAndDoesNotTurnTheLoop) {
  for (const Interest interest : {Interest::none, Interest::readable, Interest::peer_closed,
                                  Interest::readable | Interest::peer_closed}) {
    SCOPED_TRACE(to_string(interest));
    use_no_looks();
    before_and_after(
        interest, [](Pair& pair) { send_urgent(pair.peer); },
        [&](Pair&, Recorder& local) {
          EXPECT_TRUE(delivers_nothing(local));
          EXPECT_TRUE(sleeps());
        });
  }
}

TEST_P(AnUrgentByte, DoesNotHoldUpTheLoopWhereAReadWouldWait) {
  // A look that waited for a byte would hang the test, which ctest's time limit ends.
  use_no_looks();
  const Pair pair = make_pair(kind());
  set_blocking(pair.local, true);
  Recorder local{reactor(), pair.local, Interest::readable};
  send_urgent(pair.peer);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(AnUrgentByte, ThatWasTakenDoesNotTurnTheLoop) {
  use_no_looks();
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        send_urgent(pair.peer);
        take_urgent(pair.local);
      },
      [&](Pair&, Recorder& local) {
        // The kernel may go on calling the socket readable, and say nothing of an urgent byte. That
        // is found out after so many reports.
        for (int i = 0; i < 600; ++i) reactor().poll();
        local.forget();
        EXPECT_TRUE(delivers_nothing(local));
        EXPECT_TRUE(sleeps());
      });
}

TEST_P(AnUrgentByte, DoesNotKeepBytesBehindItFromBeingDelivered) {
  use_looks();
  before_and_after(
      Interest::readable, [](Pair& pair) { send_urgent(pair.peer); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        for (int i = 0; i < 3; ++i) {
          write_bytes(pair.peer, "abc");
          EXPECT_TRUE(delivers(local, "readable"));
          EXPECT_EQ(read_bytes(pair.local), 3);
          EXPECT_TRUE(delivers_nothing(local));
        }
      });
}

TEST_P(AnUrgentByte, DoesNotKeepTheEndFromBeingDelivered) {
  use_looks();
  before_and_after(
      Interest::readable | Interest::peer_closed,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        send_urgent(pair.peer);
        write_bytes(pair.peer, "def");
        shutdown_write(pair.peer);
      },
      [&](Pair& pair, Recorder& local) {
        local.ignore(Event::peer_closed);  // its place may differ
        EXPECT_TRUE(delivers(local, "readable"));
        std::size_t total = 0;
        drain_on_readable(local, pair.local, total);
        EXPECT_TRUE(delivers(local, "readable end_of_stream"));
        EXPECT_EQ(total, 6u);
        EXPECT_TRUE(sleeps());
      });
}

TEST_P(AnUrgentByte, DoesNotKeepAFailureFromBeingDelivered) {
  use_looks();
  before_and_after(
      Interest::none, [](Pair& pair) { send_urgent(pair.peer); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers_nothing(local));
        reset_by_peer(pair);
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      });
}

POLLUX_ON_EACH_KIND(AnUrgentByte, with_urgent_bytes());

}  // namespace
}  // namespace pollux::conformance
