// SPDX-License-Identifier: MIT
// Readiness watches and what is exceptional: Interest::priority, and the hints that an error or a
// hang-up is pending. Each is delivered, and none turns the loop while it is all there is.
#include <chrono>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"

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
    ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
    EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
    EXPECT_FALSE(delivered.readable);
    char byte = 0;
    EXPECT_EQ(::recv(pair.local.get(), &byte, 1, MSG_OOB), 1);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Priority, IsRefusedWhereItCouldNotBeDeliveredForWantOfDescriptors) {
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
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_TRUE(run_until(short_of, [&] { return delivered.priority; }));
}

TEST_P(Priority, ThatNobodyDealsWithDoesNotTurnTheLoop) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  const Watch watch = reactor().watch(pair.local.get(), Interest::priority,
                                      [&](Readiness readiness) { delivered(readiness); });
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
  EXPECT_TRUE(sleeps());
}

TEST_P(Priority, ThatNobodyDealtWithIsNotDeliveredOnceItsWatchHasEnded) {
  if (!has_priority()) return;
  const Pair pair = make_pair(kind());
  Delivered delivered;
  Watch watch = reactor().watch(pair.local.get(), Interest::priority,
                                [&](Readiness readiness) { delivered(readiness); });
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
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
  EXPECT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.priority; }));
  char byte = 0;
  EXPECT_EQ(::recv(pair.local.get(), &byte, 1, MSG_OOB), 1);
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
  use({.probe_interval_min = 1h, .probe_interval_max = 1h});
  const Handle local{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  Handle gone{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(gone.get(), name, size), 0);
  ASSERT_EQ(::getsockname(gone.get(), name, &size), 0);
  gone.close();
  ASSERT_EQ(::connect(local.get(), name, size), 0);
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
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const Handle local{ends[0]};
  Handle peer{ends[1]};
  Delivered delivered;
  const Watch watch = reactor().watch(local.get(), Interest::readable,
                                      [&](Readiness readiness) { delivered(readiness); });
  EXPECT_EQ(::send(peer.get(), "", 0, MSG_NOSIGNAL), 0);
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.readable; }));
  EXPECT_FALSE(delivered.hangup) << "a packet of no bytes";
  EXPECT_EQ(read_bytes(local), 0);
  peer.close();
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.hangup; }));
}

POLLUX_ON_EACH_BACKEND(AHint);

}  // namespace
}  // namespace pollux::conformance
