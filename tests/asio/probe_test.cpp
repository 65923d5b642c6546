// SPDX-License-Identifier: MIT
// pollux/probe.hpp: what a look tells and leaves, and when the handle wakes a foreign loop.
#include <cerrno>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <pollux/error.hpp>
#include <pollux/probe.hpp>

#include "conformance/support/emulator.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/pairs.hpp"
#include "conformance/support/processes.hpp"

namespace {

using namespace pollux;
using namespace pollux::support;

struct AProbe : testing::TestWithParam<PairKind> {
  StreamState look() {
    std::error_code error;
    const StreamState state = probe_stream(pair.local.get(), error);
    EXPECT_FALSE(error) << error.message();
    return state;
  }
  static bool readable(const CloseDetector& handle) {
    pollfd wait{handle.handle(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }

  Pair pair = make_pair(GetParam());
};

TEST_P(AProbe, OfAnOpenStreamReportsWhetherBytesAreUnread) {
  EXPECT_EQ(look(), StreamState{});
  write_bytes(pair.peer, "x");
  EXPECT_EQ(look(), (StreamState{.unread = true}));
}

TEST_P(AProbe, ReportsThePeersFinBehindBytesAndTheEndBehindTheLastOfThem) {
  write_bytes(pair.peer, "x");
  shutdown_write(pair.peer);
  EXPECT_EQ(look(), (StreamState{.unread = true, .peer_closed = true}));
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
  shutdown_write(pair.local);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true, .hangup = true}));
}

TEST_P(AProbe, DistinguishesAnOwnShutdownOfReadingFromThePeersFinOnTcp) {
  shutdown_read(pair.local);
  EXPECT_EQ(look(), (StreamState{.peer_closed = !is_tcp(GetParam()), .end_of_stream = true}));
}

TEST_P(AProbe, ReportsAFailureAndLeavesBytesAndErrorToTheOwner) {
  write_bytes(pair.peer, "x");
  write_bytes(pair.local, "never read");  // on AF_UNIX what makes the close a reset
  reset_connection(pair.peer);
  const StreamState failed{.unread = true, .hangup = true, .failed = true};
  EXPECT_EQ(look(), failed);
  EXPECT_EQ(look(), failed);
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_EQ(look(), (StreamState{.hangup = true, .failed = true}));
  EXPECT_EQ(read_bytes(pair.local), -ECONNRESET);
  EXPECT_TRUE(look().hangup);
  EXPECT_FALSE(look().failed) << "the owner has it";
}

TEST_P(AProbe, RefusesWhatIsNoConnectedStreamSocket) {
  std::error_code error;
  const Handle fresh = make_socket(GetParam());
  probe_stream(fresh.get(), error);
  EXPECT_EQ(error, std::errc::not_connected);
  const Handle listener = make_listener(GetParam());
  probe_stream(listener.get(), error);
  EXPECT_EQ(error, Errc::not_a_stream);
  const CloseDetector none{listener.get(), error};
  EXPECT_EQ(error, Errc::not_a_stream);
  EXPECT_FALSE(none);
  pair.local.close();
  probe_stream(pair.local.get(), error);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
}

TEST_P(AProbe, HasAHandleThatIsReadableForAnEndAndNeverForBytes) {
  std::error_code error;
  const CloseDetector end{pair.local.get(), error};
  ASSERT_FALSE(error) << error.message();
  EXPECT_FALSE(readable(end));
  write_bytes(pair.peer, "x");
  EXPECT_FALSE(readable(end));
  shutdown_write(pair.peer);
  EXPECT_TRUE(readable(end));
  EXPECT_TRUE(readable(end));
  end.drain();
  EXPECT_FALSE(readable(end)) << "until something new happens";
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_FALSE(readable(end));
  shutdown_write(pair.local);
  EXPECT_TRUE(readable(end));
}

TEST_P(AProbe, HasAHandleThatIsReadableAtOnceIfTheEndIsThereAlready) {
  shutdown_write(pair.peer);
  std::error_code error;
  CloseDetector end{pair.local.get(), error};
  CloseDetector moved = std::move(end);
  EXPECT_FALSE(end);  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_TRUE(moved && readable(moved));
  pair.local.close();
  EXPECT_FALSE(readable(moved)) << "it does not keep the stream open";
}

TEST_P(AProbe, ReportsNoEndBeforeTheBytesBehindAnUrgentOneAreRead) {
  EXPECT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  write_bytes(pair.peer, "x");
  shutdown_write(pair.peer);
  EXPECT_EQ(look(), (StreamState{.unread = true, .peer_closed = true}));
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
}

TEST_P(AProbe, ReportsTheEndBehindAnUrgentByteThatNobodyHasRead) {
  EXPECT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_FALSE(look().end_of_stream);
  shutdown_write(pair.peer);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
}

#if defined(SO_PEEK_OFF)
TEST_P(AProbe, LeavesItsOwnersPeekOffsetWhereItIs) {
  POLLUX_NEEDS("SO_PEEK_OFF", support::has_socket_option(GetParam(), SO_PEEK_OFF, 0));
  const auto peek = [&] {
    char bytes[16];
    return ::recv(pair.local.get(), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  };
  const int start = 0;
  ASSERT_EQ(::setsockopt(pair.local.get(), SOL_SOCKET, SO_PEEK_OFF, &start, sizeof start), 0);
  write_bytes(pair.peer, "xyz");
  shutdown_write(pair.peer);
  const StreamState ending{.unread = true, .peer_closed = true};
  EXPECT_EQ(look(), ending);
  EXPECT_EQ(peek(), 3);
  EXPECT_EQ(look(), ending);
  EXPECT_EQ(peek(), 0);
  EXPECT_EQ(read_bytes(pair.local), 3);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
}
#endif

TEST_P(AProbe, HasAHandleAlsoWhereThatIsDescriptorZero) {
  EXPECT_TRUE(in_a_child([&] {
    ::close(STDIN_FILENO);
    {
      std::error_code error;
      const CloseDetector end{pair.local.get(), error};
      if (error || !end || end.handle() != STDIN_FILENO || readable(end)) return false;
      shutdown_write(pair.peer);
      if (!readable(end) || !end.probe(error).end_of_stream || error) return false;
    }
    return ::fcntl(STDIN_FILENO, F_GETFD) < 0;
  }));
}

TEST_P(AProbe, OfAHandleKnowsAllThatAProbeOfTheStreamDoes) {
  std::error_code error;
  const CloseDetector end{pair.local.get(), error};
  const auto see = [&] {
    const StreamState state = end.probe(error);
    EXPECT_FALSE(error) << error.message();
    EXPECT_EQ(state, look());
    return state;
  };
  EXPECT_EQ(see(), StreamState{});
  write_bytes(pair.peer, "x");
  EXPECT_TRUE(see().unread);
  shutdown_write(pair.peer);
  EXPECT_TRUE(see().peer_closed);
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_TRUE(see().end_of_stream);
  pair.peer.close();
  shutdown_write(pair.local);
  EXPECT_TRUE(see().hangup);
}

TEST_P(AProbe, IsRefusedUnderALimitOfNoDescriptorsButThatOfAHandleIsNot) {
  std::error_code error;
  const CloseDetector end{pair.local.get(), error};
  const DescriptorLimit none{0};
  EXPECT_EQ(end.probe(error), StreamState{});
  EXPECT_FALSE(error) << error.message();
  write_bytes(pair.peer, "x");
  shutdown_write(pair.peer);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(end.probe(error), (StreamState{.unread = true, .peer_closed = true}));
    EXPECT_FALSE(error) << error.message();
  }
  EXPECT_EQ(probe_stream(pair.local.get(), error), StreamState{});
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

INSTANTIATE_TEST_SUITE_P(, AProbe,
                         testing::Values(PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

struct AProbeOfMptcp : testing::TestWithParam<PairKind> {
  void SetUp() override {
    works = has_multipath();
    if (!works) std::puts("No MPTCP to be had here: this is plain TCP instead.");
    pair = make_pair(GetParam(), works ? Protocol::multipath : Protocol::usual);
    std::error_code error;
    end = CloseDetector{pair.local.get(), error};
    ASSERT_FALSE(error) << error.message();
  }
  StreamState look() const {
    std::error_code error;
    const StreamState state = end.probe(error);
    EXPECT_FALSE(error) << error.message();
    return state;
  }
  StreamState look_without_handle() const {
    std::error_code error;
    return probe_stream(pair.local.get(), error);
  }
  /// What the peer does is brought over by a thread of the kernel's.
  void await_news() const {
    pollfd wait{end.handle(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 5000), 1);
    end.drain();
  }

  bool works = false;
  Pair pair;
  CloseDetector end;
};

TEST_P(AProbeOfMptcp, ReportsThePeersFinBehindBytesAndTheEndBehindTheLastOfThem) {
  EXPECT_EQ(look(), StreamState{});
  write_bytes(pair.peer, "x");
  shutdown_write(pair.peer);
  await_news();
  EXPECT_EQ(look(), (StreamState{.unread = true, .peer_closed = true}));
  EXPECT_EQ(look_without_handle(), look());
  EXPECT_EQ(read_bytes(pair.local), 1);
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
  EXPECT_EQ(look_without_handle(), look());
  shutdown_write(pair.local);
  await_news();
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true, .hangup = true}));
}

TEST_P(AProbeOfMptcp, DistinguishesAnOwnShutdownOfReadingFromThePeersFin) {
  shutdown_read(pair.local);
  EXPECT_EQ(look(), (StreamState{.end_of_stream = true}));
  EXPECT_EQ(look_without_handle().peer_closed, works) << "there nothing tells them apart";
  end.drain();
  shutdown_write(pair.peer);
  await_news();
  EXPECT_EQ(look(), (StreamState{.peer_closed = true, .end_of_stream = true}));
}

TEST_P(AProbeOfMptcp, ReportsAResetAndLeavesItToTheOwner) {
  reset_connection(pair.peer);
  await_news();
  EXPECT_EQ(look(), (StreamState{.hangup = true, .failed = true}));
  EXPECT_EQ(look_without_handle(), look());
  EXPECT_EQ(read_bytes(pair.local), -ECONNRESET);
}

INSTANTIATE_TEST_SUITE_P(, AProbeOfMptcp, testing::Values(PairKind::tcp4, PairKind::tcp6),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

TEST(AProbeOfAPipe, IsRefused) {
  const Pair pair = make_pair(PairKind::pipe);
  std::error_code error;
  probe_stream(pair.local.get(), error);
  EXPECT_EQ(error, Errc::not_a_stream);
}

}  // namespace
