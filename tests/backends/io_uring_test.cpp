// SPDX-License-Identifier: MIT
// What io_uring's poll requests do, and what the backend makes of it. The first half are facts
// about the kernel alone (docs/kernel-facts.md): if one of them fails, a kernel has changed, and
// something in the backend can be simpler or must be other.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>

#include <gtest/gtest.h>
#include <liburing.h>

#include <pollux/backends.hpp>

#include "support/pairs.hpp"

namespace pollux {
namespace {

using namespace support;
using namespace std::chrono_literals;

class AnIoUringPollRequest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(
        io_uring_queue_init(8, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN), 0);
  }
  void TearDown() override { io_uring_queue_exit(&ring_); }

  void ask(const Handle& handle, unsigned events, unsigned flags = 0) {
    io_uring_sqe* request = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_add(request, handle.get(), events);
    request->len = flags;
    request->user_data = 1;
  }
  void cancel() {
    io_uring_sqe* request = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_remove(request, 1);
    request->user_data = 2;
  }

  /// What has completed by now; nothing is 0, as no request completes with that.
  int answer() {
    EXPECT_GE(io_uring_submit_and_get_events(&ring_), 0);
    io_uring_cqe* completion = nullptr;
    int result = 0;
    while (io_uring_peek_cqe(&ring_, &completion) == 0) {
      if (completion->user_data == 1) result = completion->res;
      io_uring_cqe_seen(&ring_, completion);
    }
    return result;
  }

  static bool has_ended(const Handle& peer) { return read_bytes(peer, 1) == 0; }

  io_uring ring_{};
};

TEST_F(AnIoUringPollRequest, KeepsAFileOpenThatWasClosedUnderIt) {
  Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  pair.local.close();
  EXPECT_FALSE(has_ended(pair.peer));
  cancel();
  EXPECT_EQ(answer(), -ECANCELED);
  EXPECT_TRUE(has_ended(pair.peer));
}

TEST_F(AnIoUringPollRequest, LetsGoOfTheFileOnlyWhenItsEndHasBeenWorkedOn) {
  Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  cancel();
  EXPECT_EQ(io_uring_submit(&ring_), 1);
  pair.local.close();
  EXPECT_FALSE(has_ended(pair.peer)) << "handed over without IORING_ENTER_GETEVENTS";
  answer();
  EXPECT_TRUE(has_ended(pair.peer));
}

TEST_F(AnIoUringPollRequest, CompletesWithRdhupUnasked) {
  const Pair pair = make_pair(PairKind::tcp4);
  shutdown_write(pair.peer);
  for (const int asked : {0, POLLIN, POLLOUT}) {
    int seen = 0;
    for (int i = 0; i < 1000 && (seen & POLLRDHUP) == 0; ++i) {
      ask(pair.local, static_cast<unsigned>(asked));
      seen = answer();
      cancel();
      answer();
    }
    EXPECT_EQ(seen, POLLRDHUP | asked);
  }
}

TEST_F(AnIoUringPollRequest, CompletesWithWhatWokeItThoughThatHoldsNoLonger) {
  const Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(drain(pair.local), 3u);
  EXPECT_EQ(answer(), POLLIN);
}

TEST_F(AnIoUringPollRequest, CompletesWithoutTheHangUpThatFollowedTheBytes) {
  Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN | POLLRDHUP);
  EXPECT_EQ(answer(), 0);
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_EQ(answer(), POLLIN);
  ask(pair.local, POLLIN | POLLRDHUP);
  EXPECT_EQ(answer(), POLLIN | POLLRDHUP | POLLHUP) << "asked for anew, it tells what is true";
}

TEST_F(AnIoUringPollRequest, ForAFileIsReadyForEver) {
  const Handle file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  ask(file, POLLIN);
  EXPECT_EQ(answer(), POLLIN);
}

class IoUring : public testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    backend_ = make_backend("io_uring", error);
    ASSERT_FALSE(error) << error.message();
  }

  std::error_code change(const Handle& handle, RawInterest from, RawInterest to) {
    return backend_->set_interest(handle.get(), from, to, token);
  }

  /// What a wait that blocks for a moment reports of the only registration; nothing is none.
  RawReady look(std::chrono::nanoseconds duration = 1ms) {
    std::array<RawEvent, 4> out;
    const WaitResult result = backend_->wait(out, Timeout{duration});
    EXPECT_FALSE(result.error);
    EXPECT_LE(result.count, 1u);
    return result.count == 0 ? RawReady::none : out[0].ready;
  }

  static constexpr Token token{1, 1};
  std::unique_ptr<Backend> backend_;
};

TEST_F(IoUring, IsLookedForBehindEpoll) {
  const auto place = [](std::string_view name) {
    return std::ranges::find(backends(), name, &BackendInfo::name);
  };
  EXPECT_TRUE(place("epoll") == backends().end() || place("epoll") < place("io_uring"));
}

TEST_F(IoUring, LetsAPeerKnowOfACloseAtOnceWhereTheWatchWasEndedBefore) {
  for (const bool reported : {false, true}) {
    Pair pair = make_pair(PairKind::unix_stream);
    ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
    if (reported) {
      write_bytes(pair.peer, "abc");
      EXPECT_EQ(look(), RawReady::in);
      drain(pair.local);
    }
    ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::none));
    pair.local.close();
    EXPECT_EQ(read_bytes(pair.peer, 1), 0) << "before any wait";
  }
}

TEST_F(IoUring, LetsGoOfEveryFileWhenItIsDestroyedOrReset) {
  for (const bool reset : {false, true}) {
    Pair pair = make_pair(PairKind::unix_stream);
    ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
    if (reset) {
      ASSERT_FALSE(backend_->reset());
    } else {
      SetUp();
    }
    pair.local.close();
    EXPECT_EQ(read_bytes(pair.peer, 1), 0);
  }
}

TEST_F(IoUring, TakesNoSystemCallToEndAWatchThatWasReportedOrNeverWaitedFor) {
  const Pair pair = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(), RawReady::in);
  const std::uint64_t before = backend_->system_calls();
  ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::none));
  EXPECT_EQ(backend_->system_calls(), before);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(backend_->system_calls(), before + 1) << "who it is";
  ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::none));
  EXPECT_EQ(backend_->system_calls(), before + 1);
}

TEST_F(IoUring, ReportsNothingForAFinThatNobodyAskedFor) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup));
  EXPECT_EQ(look(), RawReady::none);
  shutdown_write(pair.peer);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(look(), RawReady::none);
  const std::uint64_t before = backend_->system_calls();
  EXPECT_EQ(look(), RawReady::none);
  EXPECT_EQ(backend_->system_calls(), before + 1) << "it does not sleep";
  shutdown_write(pair.local);
  EXPECT_EQ(look(5s), RawReady::hup);
  EXPECT_EQ(look(5s), RawReady::hup);
}

TEST_F(IoUring, ReportsNoBytesThatWereReadBeforeTheWait) {
  const Pair pair = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  write_bytes(pair.peer, "abc");
  drain(pair.local);
  EXPECT_EQ(look(), RawReady::none);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(5s), RawReady::in);
}

TEST_F(IoUring, GoesOnInAnotherThread) {
  const Pair pair = make_pair(PairKind::unix_stream);
  std::thread{[&] {
    ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
  }}.join();
  write_bytes(pair.peer, "abc");
  RawReady seen = RawReady::none;
  for (int i = 0; i < 100 && seen == RawReady::none; ++i) seen = look();
  EXPECT_EQ(seen, RawReady::in);
  backend_->wake();
  std::array<RawEvent, 4> out;
  bool woken = false;
  std::thread{[&] {
    for (int i = 0; i < 100 && !woken; ++i) woken = backend_->wait(out, Timeout{10ms}).woken;
  }}.join();
  EXPECT_TRUE(woken);
}

TEST_F(IoUring, TakesMoreRegistrationsThanItsQueueHasRoomFor) {
  std::vector<Pair> pairs;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    ASSERT_FALSE(backend_->set_interest(pairs.back().local.get(), RawInterest::none,
                                        RawInterest::in, {i, 1}));
  }
  EXPECT_EQ(look(), RawReady::none);
  for (Pair& pair : pairs) write_bytes(pair.peer, "abc");
  std::array<RawEvent, 64> out;
  std::size_t told = 0;
  for (int i = 0; i < 1000 && told < pairs.size(); ++i) {
    const WaitResult result = backend_->wait(out, Timeout{1s});
    for (std::size_t at = 0; at < result.count; ++at)
      told += drain(pairs[out[at].token.slot].local) / 3;
  }
  EXPECT_EQ(told, pairs.size());
}

}  // namespace
}  // namespace pollux
