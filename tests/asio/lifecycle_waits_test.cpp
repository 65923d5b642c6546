// SPDX-License-Identifier: MIT
// The waits of pollux/asio_lifecycle.hpp: what each of them tells, when, and what it leaves alone.
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include <sys/socket.h>

#include <gtest/gtest.h>

#include <asio/bind_cancellation_slot.hpp>

#include "waiting_socket.hpp"

namespace {

using namespace pollux::support;
using namespace std::chrono_literals;
using pollux::asio::async_wait_end_of_stream;
using pollux::asio::async_wait_hangup;
using pollux::asio::async_wait_peer_closed;
using std::make_error_code;

/// Told by the kernel, or, where there is no descriptor left to be told by, by looking.
enum class By { kernel, looking };

using Row = std::tuple<PairKind, By>;

struct LifecycleWait : testing::TestWithParam<Row>, WaitingSocket {
  LifecycleWait() : WaitingSocket{std::get<PairKind>(GetParam())} {}

  bool looks() const { return std::get<By>(GetParam()) == By::looking; }

  template <class Wait>
  void start(Wait wait) {
    // The reactor's own registration must exist: it was made by assign().
    const auto none = looks() ? std::make_unique<NoDescriptorLeft>() : nullptr;
    wait();
  }
  void wait_peer_closed(Result& result) {
    start([&] { async_wait_peer_closed(socket, into(result)); });
  }
  void wait_end_of_stream(Result& result) {
    start([&] { async_wait_end_of_stream(socket, into(result)); });
  }
  void wait_hangup(Result& result) {
    start([&] { async_wait_hangup(socket, into(result)); });
  }

  Result peer_closed, end_of_stream, hangup;
};

TEST_P(LifecycleWait, ForThePeersFinReportsItOnAnIdleConnection) {
  wait_peer_closed(peer_closed);
  settle();
  EXPECT_FALSE(peer_closed);
  shutdown_write(peer);
  EXPECT_EQ(until(peer_closed), success);
}

TEST_P(LifecycleWait, ForThePeersFinReportsItBehindUnreadBytesAndReadsNone) {
  write_bytes(peer, "last words");
  wait_peer_closed(peer_closed);
  settle();
  EXPECT_FALSE(peer_closed);
  shutdown_write(peer);
  EXPECT_EQ(until(peer_closed), success);
  std::error_code last;
  EXPECT_EQ(read_all(last), "last words");
  EXPECT_EQ(last, asio::error::eof);
}

TEST_P(LifecycleWait, ForThePeersFinReportsAClose) {
  wait_peer_closed(peer_closed);
  settle();
  peer.close();
  EXPECT_EQ(until(peer_closed), success);
}

TEST_P(LifecycleWait, ReportsWhatIsThereAlreadyAndNotFromInsideTheStartingFunction) {
  shutdown_write(peer);
  std::error_code last;
  read_all(last);
  wait_peer_closed(peer_closed);
  wait_end_of_stream(end_of_stream);
  EXPECT_FALSE(peer_closed || end_of_stream);
  EXPECT_EQ(until(peer_closed), success);
  EXPECT_EQ(until(end_of_stream), success);
}

TEST_P(LifecycleWait, LeavesTheConnectionOpenForWriting) {
  wait_peer_closed(peer_closed);
  shutdown_write(peer);
  ASSERT_EQ(until(peer_closed), success);
  socket.write_some(asio::buffer("answer", 6));
  EXPECT_EQ(read_bytes(peer), 6);
}

TEST_P(LifecycleWait, ForTheEndOfStreamReportsItOnceEveryByteIsRead) {
  wait_end_of_stream(end_of_stream);
  write_bytes(peer, "last words");
  shutdown_write(peer);
  settle();
  EXPECT_FALSE(end_of_stream);
  std::error_code last;
  EXPECT_EQ(read_all(last), "last words");
  EXPECT_EQ(until(end_of_stream), success);
}

TEST_P(LifecycleWait, ForTheHangupReportsItWhenBothDirectionsAreOverAndEveryByteIsRead) {
  wait_hangup(hangup);
  write_bytes(peer, "last words");
  shutdown_write(peer);
  settle();
  EXPECT_FALSE(hangup);
  socket.shutdown(socket.shutdown_send);
  settle();
  EXPECT_FALSE(hangup) << "with bytes unread";
  std::error_code last;
  EXPECT_EQ(read_all(last), "last words");
  EXPECT_EQ(until(hangup), success);
}

TEST_P(LifecycleWait, ForTheHangupReportsItWithTheLastOfTheTwoFins) {
  wait_hangup(hangup);
  shutdown_write(peer);
  settle();
  EXPECT_FALSE(hangup) << "half-closed only";
  socket.shutdown(socket.shutdown_send);
  EXPECT_EQ(until(hangup), success);
}

TEST_P(LifecycleWait, EndsWithAResetAtOnceWhichTheOwnerStillFinds) {
  write_bytes(peer, "last words");
  wait_peer_closed(peer_closed);
  wait_end_of_stream(end_of_stream);
  wait_hangup(hangup);
  settle();
  reset_by_peer();
  EXPECT_EQ(until(peer_closed), make_error_code(asio::error::connection_reset));
  EXPECT_EQ(until(end_of_stream), make_error_code(asio::error::connection_reset));
  EXPECT_EQ(until(hangup), make_error_code(asio::error::connection_reset));
  std::error_code last;
  EXPECT_EQ(read_all(last), "last words");
  EXPECT_EQ(last, asio::error::connection_reset);
}

TEST_P(LifecycleWait, DoesNotTakeAResetFromAReadThatIsOut) {
  Result read;
  std::array<char, 8> bytes{};
  socket.async_read_some(asio::buffer(bytes),
                         [&](const std::error_code& error, std::size_t) { read = error; });
  wait_peer_closed(peer_closed);
  wait_hangup(hangup);
  settle();
  reset_by_peer();
  EXPECT_EQ(until(read), make_error_code(asio::error::connection_reset));
  // Whether these look before the read or after it is up to the kernel's order.
  EXPECT_TRUE(until(peer_closed));
  EXPECT_TRUE(until(hangup));
}

TEST_P(LifecycleWait, ReportsTheEndThatIsLeftOnceTheOwnerHasTakenTheError) {
  reset_by_peer();
  std::error_code last;
  read_all(last);
  EXPECT_EQ(last, asio::error::connection_reset);
  wait_peer_closed(peer_closed);
  wait_hangup(hangup);
  EXPECT_EQ(until(peer_closed), success);
  EXPECT_EQ(until(hangup), success);
}

TEST_P(LifecycleWait, DoesNotTakeAnOwnShutdownOfWritingForAnything) {
  wait_peer_closed(peer_closed);
  wait_end_of_stream(end_of_stream);
  wait_hangup(hangup);
  socket.shutdown(socket.shutdown_send);
  settle();
  EXPECT_FALSE(peer_closed || end_of_stream || hangup);
  shutdown_write(peer);
  EXPECT_EQ(until(peer_closed), success);
  EXPECT_EQ(until(end_of_stream), success);
  EXPECT_EQ(until(hangup), success);
}

TEST_P(LifecycleWait, TakesAnOwnShutdownOfReadingForAnEndAndOnTcpNotForThePeers) {
  wait_peer_closed(peer_closed);
  wait_end_of_stream(end_of_stream);
  socket.shutdown(socket.shutdown_receive);
  EXPECT_EQ(until(end_of_stream), success);
  if (is_tcp(kind)) {
    settle();
    EXPECT_FALSE(peer_closed);
    shutdown_write(peer);
  }
  EXPECT_EQ(until(peer_closed), success);
}

TEST_P(LifecycleWait, TakesAnOwnShutdownOfBothForAHangupAndOnTcpNotForThePeers) {
  wait_peer_closed(peer_closed);
  wait_hangup(hangup);
  socket.shutdown(socket.shutdown_both);
  EXPECT_EQ(until(hangup), success);
  const auto no_fin = make_error_code(asio::error::shut_down);
  EXPECT_EQ(until(peer_closed), kind == PairKind::unix_stream ? success : Result{no_fin});
}

TEST_P(LifecycleWait, OfASocketThatIsNotConnectedSaysSo) {
  Socket fresh{context, protocol()};
  start([&] { async_wait_hangup(fresh, into(hangup)); });
  EXPECT_EQ(until(hangup), make_error_code(asio::error::not_connected));
}

TEST_P(LifecycleWait, OfASocketThatIsNotOpenSaysSo) {
  Socket closed{context};
  start([&] { async_wait_hangup(closed, into(hangup)); });
  EXPECT_EQ(until(hangup), make_error_code(asio::error::bad_descriptor));
}

TEST_P(LifecycleWait, WorksBesideAReadThatWasStartedBefore) {
  std::string story;
  std::array<char, 4> bytes{};
  std::function<void()> read = [&] {
    socket.async_read_some(asio::buffer(bytes), [&](const std::error_code& error, std::size_t n) {
      story.append(bytes.data(), n);
      if (error) return void(story += error == asio::error::eof ? "." : "!");
      read();
    });
  };
  read();
  wait_peer_closed(peer_closed);
  wait_end_of_stream(end_of_stream);
  for (const std::string words : {"one ", "two three ", "four"}) {
    write_bytes(peer, words);
    ASSERT_TRUE(run_until([&] { return story.ends_with(words); }));
  }
  EXPECT_FALSE(peer_closed || end_of_stream);
  shutdown_write(peer);
  EXPECT_EQ(until(end_of_stream), success);
  EXPECT_EQ(until(peer_closed), success);
  run_until([&] { return story.ends_with("."); });
  EXPECT_EQ(story, "one two three four.");
}

TEST_P(LifecycleWait, IsAbortedWithTheOthersWhenItsSocketIsCancelledAndCanBeStartedAnew) {
  wait_peer_closed(peer_closed);
  wait_hangup(hangup);
  settle();
  socket.cancel();
  EXPECT_EQ(until(peer_closed), make_error_code(asio::error::operation_aborted));
  EXPECT_EQ(until(hangup), make_error_code(asio::error::operation_aborted));
  shutdown_write(peer);
  wait_end_of_stream(end_of_stream);
  EXPECT_EQ(until(end_of_stream), success);
}

TEST_P(LifecycleWait, IsAbortedWhenItsSocketIsClosedAndThePeerLearnsOfIt) {
  wait_peer_closed(peer_closed);
  settle();
  socket.close();
  long read = -EAGAIN;
  EXPECT_EQ(until(peer_closed), make_error_code(asio::error::operation_aborted));
  drain(peer, &read);
  EXPECT_EQ(read, 0);
}

TEST_P(LifecycleWait, IsAbortedByACloseAlsoWhileOnlyTheReaderIsAwaited) {
  write_bytes(peer, "never read");
  shutdown_write(peer);
  socket.shutdown(socket.shutdown_send);
  wait_hangup(hangup);
  settle();
  EXPECT_FALSE(hangup);
  socket.close();
  EXPECT_EQ(until(hangup), make_error_code(asio::error::operation_aborted));
}

TEST_P(LifecycleWait, IsAbortedByItsSlotAndNoOtherWithIt) {
  asio::cancellation_signal signal;
  start([&] {
    async_wait_peer_closed(socket, asio::bind_cancellation_slot(signal.slot(), into(peer_closed)));
  });
  wait_hangup(hangup);
  settle();
  signal.emit(asio::cancellation_type::total);
  EXPECT_EQ(until(peer_closed), make_error_code(asio::error::operation_aborted));
  settle();
  EXPECT_FALSE(hangup);
  signal.emit(asio::cancellation_type::total);  // there is nothing left to cancel
  peer.close();
  socket.shutdown(socket.shutdown_send);
  EXPECT_EQ(until(hangup), success);
}

TEST_P(LifecycleWait, IsAbortedByItsSlotBeforeItsContextHasRun) {
  asio::cancellation_signal signal;
  shutdown_write(peer);
  start([&] {
    async_wait_peer_closed(socket, asio::bind_cancellation_slot(signal.slot(), into(peer_closed)));
  });
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(until(peer_closed), make_error_code(asio::error::operation_aborted));
}

TEST_P(LifecycleWait, LeavesTheContextWithoutWorkWhenItIsOver) {
  wait_peer_closed(peer_closed);
  shutdown_write(peer);
  context.restart();
  context.run();
  EXPECT_EQ(peer_closed, success);
}

TEST_P(LifecycleWait, DoesNotTurnTheLoopWhateverLasts) {
  // Of each of the two waits: a look after 0, 1, 2, 4 ... 64 ms, and Asio's own step after each.
  const std::size_t few = 2 * 2 * 8 + 4;
  wait_peer_closed(peer_closed);
  wait_hangup(hangup);
  context.poll();
  EXPECT_LE(settle(100ms), looks() ? few : 0u) << "idle";
  write_bytes(peer, "never read");
  EXPECT_LE(settle(100ms), few) << "bytes unread";
  if (is_tcp(kind)) {
    socket.shutdown(socket.shutdown_receive);
    EXPECT_LE(settle(100ms), few) << "own shutdown of reading";
  }
  shutdown_write(peer);
  EXPECT_LE(settle(100ms), few) << "the end behind bytes";
  socket.shutdown(socket.shutdown_send);
  EXPECT_LE(settle(100ms), few) << "both over behind bytes";
  EXPECT_FALSE(hangup);
}

TEST_P(LifecycleWait, ForTheEndReportsItBehindTheBytesThatFollowAnUrgentOne) {
  EXPECT_EQ(::send(peer.get(), "!", 1, MSG_OOB), 1);
  write_bytes(peer, "last words");
  shutdown_write(peer);
  wait_end_of_stream(end_of_stream);
  settle();
  EXPECT_FALSE(end_of_stream);
  std::error_code last;
  EXPECT_EQ(read_all(last), "last words");
  EXPECT_EQ(until(end_of_stream), success);
}

INSTANTIATE_TEST_SUITE_P(, LifecycleWait,
                         testing::Combine(testing::Values(PairKind::tcp4, PairKind::tcp6,
                                                          PairKind::unix_stream),
                                          testing::Values(By::kernel, By::looking)),
                         [](const auto& row) {
                           return std::string{to_string(std::get<PairKind>(row.param))} +
                                  (std::get<By>(row.param) == By::kernel ? "" : "_by_looking");
                         });

struct UrgentData : testing::Test, WaitingSocket {
  UrgentData() : WaitingSocket{PairKind::tcp4} {}
};

TEST_F(UrgentData, IsNoEndAndDoesNotTurnTheLoop) {
  Result peer_closed;
  async_wait_peer_closed(socket, into(peer_closed));
  ASSERT_EQ(::send(peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_LE(settle(100ms), 20u);
  EXPECT_FALSE(peer_closed);
  shutdown_write(peer);
  EXPECT_EQ(until(peer_closed), success);
}

struct LifecycleWaitOnMptcp : testing::TestWithParam<PairKind> {
  void SetUp() override {
    const bool works = has_multipath();
    if (!works) std::puts("No MPTCP to be had here: this is plain TCP instead.");
    on.emplace(GetParam(), works ? Protocol::multipath : Protocol::usual);
    async_wait_peer_closed(on->socket, WaitingSocket::into(peer_closed));
    async_wait_end_of_stream(on->socket, WaitingSocket::into(end_of_stream));
    on->settle();
    EXPECT_FALSE(peer_closed || end_of_stream);
  }

  std::optional<WaitingSocket> on;
  Result peer_closed, end_of_stream;
};

TEST_P(LifecycleWaitOnMptcp, ForThePeersFinReportsItBehindUnreadBytes) {
  write_bytes(on->peer, "last words");
  shutdown_write(on->peer);
  EXPECT_EQ(on->until(peer_closed), success);
  EXPECT_FALSE(end_of_stream);
  std::error_code last;
  EXPECT_EQ(on->read_all(last), "last words");
  EXPECT_EQ(on->until(end_of_stream), success);
}

TEST_P(LifecycleWaitOnMptcp, ForThePeersFinIsNotDeliveredAnOwnShutdown) {
  shutdown_read(Handle{::dup(on->socket.native_handle())});
  EXPECT_EQ(on->until(end_of_stream), success);
  on->settle();
  EXPECT_FALSE(peer_closed);
  shutdown_write(on->peer);
  EXPECT_EQ(on->until(peer_closed), success);
}

INSTANTIATE_TEST_SUITE_P(, LifecycleWaitOnMptcp, testing::Values(PairKind::tcp4, PairKind::tcp6),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

TEST(LifecycleWaitUnderALimitOfNoDescriptors, IsDeliveredAsEverIfItBeganBefore) {
  WaitingSocket on{PairKind::tcp4};
  Result peer_closed;
  async_wait_peer_closed(on.socket, WaitingSocket::into(peer_closed));
  on.settle();
  const DescriptorLimit none{0};
  write_bytes(on.peer, "last words");
  on.settle();
  EXPECT_FALSE(peer_closed);
  shutdown_write(on.peer);
  EXPECT_EQ(on.until(peer_closed), success);
}

TEST(LifecycleWaitUnderALimitOfNoDescriptors, IsRefusedIfItBeginsLater) {
  WaitingSocket on{PairKind::tcp4};
  const DescriptorLimit none{0};
  Result peer_closed;
  async_wait_peer_closed(on.socket, WaitingSocket::into(peer_closed));
  EXPECT_EQ(on.until(peer_closed), (Result{std::error_code{EMFILE, std::system_category()}}));
}

}  // namespace
