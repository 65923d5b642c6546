// SPDX-License-Identifier: MIT
// Readiness watches and what is exceptional: Interest::priority, and the hints that an error or a
// hang-up is pending. Each is delivered, and none turns the loop while it is all there is.
#include <chrono>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// Adds up what a readiness watch is told.
struct Delivered {
  int calls = 0;
  bool readable = false;
  bool priority = false;
  bool error = false;
  bool hangup = false;

  void operator()(Readiness delivered) {
    ++calls;
    readable |= delivered.readable();
    priority |= delivered.priority();
    error |= delivered.error();
    hangup |= delivered.hangup();
  }
};

class Priority : public OnEachKind {
 protected:
  /// Whether the backend has it. Without, the answer is the same from every backend.
  bool has_priority() {
    const Pair pair = make_pair(PairKind::tcp4);
    std::error_code error;
    const Watch watch = reactor().watch(
        pair.local.get(), Interest::priority, [](Readiness) {}, error);
    EXPECT_TRUE(!error || error == std::errc::operation_not_supported) << error.message();
    return !error;
  }
};

TEST_P(Priority, LearnsOfUrgentDataAndOfNothingElse) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  const Watch watch = reactor().watch(pair.local.get(), Interest::priority,
                                      [&](Readiness readiness) { delivered(readiness); });
  write_bytes(pair.peer, "abc");
  settle(reactor());
  EXPECT_EQ(delivered.calls, 0);
  for (int i = 0; i < 3; ++i) {
    delivered = {};
    ASSERT_EQ(write_urgent(pair.peer), 1);
    EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
    EXPECT_FALSE(delivered.readable);
    EXPECT_EQ(read_urgent(pair.local), 1);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Priority, IsRefusedWhereItCouldNotBeDeliveredForWantOfDescriptors) {
  if (!can_limit_descriptors()) return RecordProperty("not_played", "no limit of descriptors here");
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  const Pair other = make_pair(kind());
  Delivered delivered;
  const auto note = [&](Readiness readiness) { delivered(readiness); };
  Reactor short_of{make_contestant(backend())};
  Watch changed = short_of.watch(other.local.get(), Interest::readable, note);
  Watch watch;
  {
    std::error_code error;
    const support::NoDescriptorLeft none;
    changed.set_interest(Interest::priority, error);
    EXPECT_TRUE(!error || error == std::errc::too_many_files_open) << error.message();
    EXPECT_EQ(changed.interest(), error ? Interest::readable : Interest::priority);
    watch = short_of.watch(pair.local.get(), Interest::priority, note, error);
    EXPECT_TRUE(!error || error == std::errc::too_many_files_open) << error.message();
    short_of.run_once(1ms);
  }
  if (!watch) watch = short_of.watch(pair.local.get(), Interest::priority, note);
  ASSERT_EQ(write_urgent(pair.peer), 1);
  EXPECT_TRUE(run_until(short_of, [&] { return delivered.priority; }));
}

TEST_P(Priority, ThatNobodyDealsWithDoesNotTurnTheLoop) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  const Watch watch = reactor().watch(pair.local.get(), Interest::priority,
                                      [&](Readiness readiness) { delivered(readiness); });
  ASSERT_EQ(write_urgent(pair.peer), 1);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
  EXPECT_TRUE(sleeps());
}

TEST_P(Priority, ThatNobodyDealtWithIsNotDeliveredOnceItsWatchHasEnded) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  Watch watch = reactor().watch(pair.local.get(), Interest::priority,
                                [&](Readiness readiness) { delivered(readiness); });
  ASSERT_EQ(write_urgent(pair.peer), 1);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
  settle(reactor());
  watch.reset();
  const auto reports = reactor().stats().reports;
  write_bytes(pair.peer, "abc");  // the urgent byte is unread still, and there is news
  settle(reactor());
  EXPECT_EQ(reactor().stats().reports, reports);
}

TEST_P(Priority, MayBeAskedForAndNoLonger) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  Watch watch = reactor().watch(pair.local.get(), Interest::readable,
                                [&](Readiness readiness) { delivered(readiness); });
  watch.set_interest(Interest::readable | Interest::priority);
  EXPECT_EQ(write_urgent(pair.peer), 1);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
  EXPECT_EQ(read_urgent(pair.local), 1);
  watch.set_interest(Interest::readable);
  settle(reactor());
  delivered = {};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.readable; }));
  EXPECT_FALSE(delivered.priority);
}

POLLUX_ON_EACH_KIND(Priority, tcp);

class AHint : public OnEachBackend {};

TEST_P(AHint, SaysThatAnErrorIsPendingAndDoesNotTurnTheLoop) {
  if (!system_facts().lost_datagram_is_an_error)
    return RecordProperty("not_played", "a lost datagram is no steady error here");
  use({.probe_interval_min = 1h, .probe_interval_max = 1h});
  const Handle local = make_deserted_mailbox();
  Delivered delivered;
  const Watch watch = reactor().watch(local.get(), Interest::readable,
                                      [&](Readiness readiness) { delivered(readiness); });
  ASSERT_EQ(write_bytes(local, "x"), 1);  // which nobody takes: the host says so
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.error; }));
  EXPECT_TRUE(delivered.readable);
  EXPECT_EQ(read_bytes(local), -ECONNREFUSED) << "the error is left to its owner";
  EXPECT_TRUE(sleeps());
}

TEST_P(AHint, SaysThatTheOtherSideIsGone) {
  std::optional<Pair> pair = make_packet_pair();
  if (!pair) return RecordProperty("not_played", "no AF_UNIX sockets of packets here");
  const Handle local = std::move(pair->local);
  Handle peer = std::move(pair->peer);
  Delivered delivered;
  const Watch watch = reactor().watch(local.get(), Interest::readable,
                                      [&](Readiness readiness) { delivered(readiness); });
  EXPECT_EQ(write_nothing(peer), 0);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.readable; }));
  EXPECT_FALSE(delivered.hangup) << "a packet of no bytes";
  EXPECT_EQ(read_bytes(local), 0);
  peer.close();
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.hangup; }));
}

POLLUX_ON_EACH_BACKEND(AHint);

}  // namespace
}  // namespace pollux::conformance
