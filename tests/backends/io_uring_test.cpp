// SPDX-License-Identifier: MIT
// What io_uring's poll requests do, and what the backend makes of it. The first half are facts
// about the kernel alone (docs/kernel-facts.md): if one of them fails, a kernel has changed, and
// something in the backend can be simpler or must be other.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <liburing.h>

#include <pollux/backends.hpp>

#include "conformance/support/contestants.hpp"
#include "conformance/support/pairs.hpp"
#include "conformance/support/processes.hpp"
#include "conformance/support/system.hpp"

namespace pollux {
namespace {

using namespace support;
using namespace std::chrono_literals;

/// A pseudo-terminal, and its master.
Pair make_terminal() {
  Handle master{::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  char name[128] = "";
  EXPECT_TRUE(master && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0 &&
              ::ptsname_r(master.get(), name, sizeof name) == 0);
  Handle terminal{::open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  return {std::move(terminal), std::move(master)};
}

/// Changes nothing, and wakes whoever waits.
void set_attributes(const Handle& terminal) {
  termios settings{};
  EXPECT_EQ(::tcgetattr(terminal.get(), &settings), 0);
  EXPECT_EQ(::tcsetattr(terminal.get(), TCSANOW, &settings), 0);
}

/// While it lives, the process may open no more than so many descriptors.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit now{most, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// Does it, in a thread of its own, as soon as this one sleeps.
std::jthread when_asleep(std::function<void()> then) {
  const std::string status = "/proc/self/task/" + std::to_string(::gettid()) + "/stat";
  return std::jthread{[status, then = std::move(then)] {
    std::string line;
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    do {
      std::getline(std::ifstream{status}, line);
    } while (line.find(") S ") == std::string::npos && std::chrono::steady_clock::now() < deadline);
    then();
  }};
}

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
    io_uring_prep_cancel64(request, 1, 0);
    request->user_data = 2;
  }
  void remove() {
    io_uring_sqe* request = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_remove(request, 1);
    request->user_data = 2;
  }

  /// What has completed by now; nothing is 0, as no request completes with that. What has become
  /// of a removal or a cancel is `ended`.
  int answer(int* ended = nullptr) {
    EXPECT_GE(io_uring_submit_and_get_events(&ring_), 0);
    io_uring_cqe* completion = nullptr;
    int result = 0;
    while (io_uring_peek_cqe(&ring_, &completion) == 0) {
      if (completion->user_data == 1) result = completion->res;
      if (completion->user_data == 2 && ended != nullptr) *ended = completion->res;
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

TEST_F(AnIoUringPollRequest, ThatWasWokenInVainCannotBeRemovedAndGoesOn) {
  Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(drain(pair.local), 3u);
  remove();
  int removed = 0;
  EXPECT_EQ(answer(&removed), 0);
  EXPECT_EQ(removed, -EALREADY);
  pair.local.close();
  EXPECT_FALSE(has_ended(pair.peer));
}

TEST_F(AnIoUringPollRequest, ThatWasWokenInVainCanBeCancelled) {
  Pair pair = make_pair(PairKind::unix_stream);
  ask(pair.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(drain(pair.local), 3u);
  cancel();
  int cancelled = -1;
  EXPECT_EQ(answer(&cancelled), -ECANCELED);
  EXPECT_EQ(cancelled, 0);
  pair.local.close();
  EXPECT_TRUE(has_ended(pair.peer));
}

TEST_F(AnIoUringPollRequest, OfASocketThatWasWokenSaysSoWithABitThatNoSocketHas) {
  for (const PairKind kind : {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream}) {
    const Pair pair = make_pair(kind);
    ask(pair.local, POLLIN | POLLRDBAND);
    EXPECT_EQ(answer(), 0);
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(answer(), POLLIN | POLLRDBAND);
    ask(pair.local, POLLIN | POLLRDBAND);
    EXPECT_EQ(answer(), POLLIN) << "asked when it was so already";
  }
}

TEST_F(AnIoUringPollRequest, IsNotReadableForAnUrgentByteThatIsNone) {
  const Pair pair = make_pair(PairKind::tcp4);
  ask(pair.local, POLLIN | POLLRDBAND);
  EXPECT_EQ(answer(), 0);
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_EQ(answer(), POLLIN | POLLRDBAND);
  EXPECT_FALSE(has_unread(pair.local));
}

TEST_F(AnIoUringPollRequest, ForATerminalFailsOrGoesOnWhenItIsWokenForNothing) {
  // It waits on two queues, of which only the first can be waited on again.
  const Pair terminal = make_terminal();
  ask(terminal.local, POLLIN);
  EXPECT_EQ(answer(), 0);
  set_attributes(terminal.local);
  if (const int woken = answer(); woken != 0) {
    EXPECT_EQ(woken, -EINVAL);
    ask(terminal.local, POLLIN);
    EXPECT_EQ(answer(), 0) << "asked for anew, it waits";
  }
  // Linux 6.1 and 6.12 go on.
  write_bytes(terminal.peer, "a line\n");
  EXPECT_TRUE(await(terminal.local, Await::readable, std::chrono::seconds{5}));
  EXPECT_EQ(answer(), POLLIN);
}

TEST_F(AnIoUringPollRequest, OnAnEpollSetHoldsNoneOfItsFiles) {
  Pair pair = make_pair(PairKind::unix_stream);
  const Handle set{::epoll_create1(EPOLL_CLOEXEC)};
  epoll_event event{EPOLLIN, {}};
  ASSERT_EQ(::epoll_ctl(set.get(), EPOLL_CTL_ADD, pair.local.get(), &event), 0);
  ask(set, POLLIN);
  EXPECT_EQ(answer(), 0);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(answer(), POLLIN);
  EXPECT_EQ(drain(pair.local), 3u);
  ask(set, POLLIN);
  EXPECT_EQ(answer(), 0);
  pair.local.close();
  EXPECT_TRUE(has_ended(pair.peer));
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

  /// Whether nothing but this process's descriptor has held the local side open.
  static bool is_let_go(Pair& pair) {
    reset_connection(pair.local);
    pollfd peer{pair.peer.get(), POLLRDHUP, 0};
    return ::poll(&peer, 1, 0) == 1;
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

TEST_F(IoUring, SleepsThoughAFinHadComeBeforeItWasAsked) {
  const Pair pair = make_pair(PairKind::tcp4);
  shutdown_write(pair.peer);
  pollfd arrived{pair.local.get(), POLLRDHUP, 0};
  ASSERT_EQ(::poll(&arrived, 1, 5000), 1);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup));
  const auto end = std::chrono::steady_clock::now() + 50ms;
  int waits = 0;
  for (auto now = end - 50ms; now < end; now = std::chrono::steady_clock::now(), ++waits)
    EXPECT_EQ(look(end - now), RawReady::none);
  EXPECT_LE(waits, 5);
  // And then does not hand over in two calls what can be handed over in one.
  const Pair other = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(
      backend_->set_interest(other.local.get(), RawInterest::none, RawInterest::in, {2, 1}));
  look();
  ASSERT_FALSE(backend_->set_interest(other.local.get(), RawInterest::in,
                                      RawInterest::in | RawInterest::rdhup, {2, 1}));
  const std::uint64_t before = backend_->system_calls();
  look();
  EXPECT_EQ(backend_->system_calls(), before + 1);
}

TEST_F(IoUring, AsksOnceWhetherASocketIsAnAddress) {
  const Pair pair = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::in | RawInterest::rdhup));
  ASSERT_FALSE(change(pair.local, RawInterest::in | RawInterest::rdhup, RawInterest::in));
  const std::uint64_t before = backend_->system_calls();
  EXPECT_EQ(look(), RawReady::none);
  EXPECT_EQ(backend_->system_calls(), before + 1);
}

TEST_F(IoUring, ReportsNothingOfAnotherFileThatGotTheNumberOfAnAddress) {
  Handle listener = make_listener(PairKind::unix_stream);
  const Pair other = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(change(listener, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_EQ(::dup2(other.local.get(), listener.get()), listener.get());
  ASSERT_FALSE(change(listener, RawInterest::in, RawInterest::in | RawInterest::out));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(), RawReady::none) << "the other has room";
}

TEST_F(IoUring, LeavesTheNumberOfItsRingToAnother) {
  for (const bool ended : {false, true}) {
    SetUp();
    std::array<RawEvent, 4> out;
    backend_->wait(out, Timeout{1ms});
    NativeHandle ring = no_handle;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
      std::error_code gone;  // the listing itself is there as well
      if (std::filesystem::read_symlink(entry, gone) == "anon_inode:[io_uring]")
        ring = std::stoi(entry.path().filename());
    }
    ASSERT_NE(ring, no_handle);
    const Pair pair = make_pair(PairKind::unix_stream);
    ASSERT_EQ(::dup2(pair.local.get(), ring), ring);
    const Handle others{ring};
    if (ended) {
      backend_.reset();
    } else {
      ASSERT_FALSE(backend_->reset());
    }
    EXPECT_GE(::fcntl(ring, F_GETFD), 0) << "it was closed with the ring";
  }
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

TEST_F(IoUring, TakesNoUrgentByteForOneOfTheStreamThoughThatHasWokenIt) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  for (int i = 0; i < 3; ++i) {
    const auto peer = when_asleep([&] { ::send(pair.peer.get(), "!", 1, MSG_OOB); });
    EXPECT_EQ(look(20ms), RawReady::none);
    EXPECT_EQ(look(), RawReady::none);
  }
  const auto peer = when_asleep([&] { write_bytes(pair.peer, "abc"); });
  EXPECT_EQ(look(5s), RawReady::in);
}

TEST_F(IoUring, SleepsThroughTheEndOfARequestThatIsReplaced) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  RawInterest before = RawInterest::in, after = RawInterest::hup;
  bool slept = false;
  // The kernel takes down an earlier test's ring in its own time, and that cuts waits short.
  for (int i = 0; i < 5 && !slept; ++i) {
    ASSERT_FALSE(change(pair.local, before, after));
    std::swap(before, after);
    std::atomic<bool> is_woken{false};
    auto waker = when_asleep([&] {
      is_woken = true;
      backend_->wake();
    });
    EXPECT_TRUE(comes_back_within(*backend_, 5s));
    slept = is_woken;
    waker.join();
    if (!slept) {
      EXPECT_TRUE(comes_back_within(*backend_, 5s)) << "the wake is lost";
    }
  }
  EXPECT_TRUE(slept);
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
  drain(pair.local);
  std::thread{[&] {
    std::atomic<bool> is_woken{false};
    const auto waker = when_asleep([&] {
      is_woken = true;
      backend_->wake();
    });
    while (!is_woken) EXPECT_TRUE(comes_back_within(*backend_, 5s));
  }}.join();
}

TEST_F(IoUring, LeavesNothingBehindOfARequestThatWasReplaced) {
  // What completes late is the old one's: if the new one were taken for ended, it would never be.
  for (const RawInterest other : {RawInterest::out, RawInterest::hup, RawInterest::rdhup}) {
    Pair pair = make_pair(PairKind::tcp4);
    fill(pair.local);  // so that it is not writable
    ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
    ASSERT_FALSE(change(pair.local, RawInterest::in, other));
    EXPECT_EQ(look(), RawReady::none);
    ASSERT_FALSE(change(pair.local, other, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
    const std::uint64_t before = backend_->system_calls();
    EXPECT_EQ(look(), RawReady::none);
    EXPECT_EQ(backend_->system_calls(), before + 1) << "it does not sleep";
    ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::none));
    EXPECT_TRUE(is_let_go(pair));
  }
}

TEST_F(IoUring, LetsGoOfAFileWhoseRequestHasCompletedUnseen) {
  for (const RawInterest interest : {RawInterest::in, RawInterest::in | RawInterest::edge}) {
    for (const bool vain : {false, true}) {
      Pair pair = make_pair(PairKind::tcp4);
      ASSERT_FALSE(change(pair.local, RawInterest::none, interest));
      EXPECT_EQ(look(), RawReady::none);
      write_bytes(pair.peer, "abc");
      if (vain) drain(pair.local);
      // Ending another is a call in which this one's request completes.
      Pair other = make_pair(PairKind::tcp4);
      ASSERT_FALSE(backend_->set_interest(other.local.get(), RawInterest::none, interest, {2, 1}));
      EXPECT_EQ(look(0ns), vain ? RawReady::none : RawReady::in);
      ASSERT_FALSE(backend_->set_interest(other.local.get(), interest, RawInterest::none, {2, 1}));
      drain(pair.local);
      ASSERT_FALSE(change(pair.local, interest, RawInterest::none));
      EXPECT_TRUE(is_let_go(pair));
    }
  }
}

TEST_F(IoUring, LetsGoOfAFileThatWasClosedUnderItsWatchWhenItComesUponThat) {
  for (const RawInterest interest : {RawInterest::in, RawInterest::in | RawInterest::edge}) {
    Pair pair = make_pair(PairKind::unix_stream);
    ASSERT_FALSE(change(pair.local, RawInterest::none, interest));
    EXPECT_EQ(look(), RawReady::none);
    reset_connection(pair.local);
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(look(), RawReady::none);
    EXPECT_EQ(look(0ns), RawReady::none);
    pollfd peer{pair.peer.get(), POLLRDHUP, 0};
    EXPECT_EQ(::poll(&peer, 1, 0), 1);
  }
}

TEST_F(IoUring, LetsGoOfAFileALittleLaterWhereTheRingIsAnotherThreadsAndItsQueueIsFull) {
  constexpr std::uint32_t many = 600;
  std::vector<Pair> pairs;
  for (std::uint32_t i = 0; i < many; ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    ASSERT_FALSE(backend_->set_interest(pairs[i].local.get(), RawInterest::none,
                                        RawInterest::in | RawInterest::edge, {i, 1}));
  }
  std::vector<RawEvent> out(512);
  const auto wait = [&] { return backend_->wait(out, Timeout{1ms}).count; };
  std::thread{[&] {
    while (wait() != 0) {
    }
    // Requests whose files were closed under their watches: each is to be cancelled with the next
    // call.
    for (std::uint32_t i = 0; i + 1 < many; ++i) {
      write_bytes(pairs[i].peer, "abc");
      pairs[i].local.close();
    }
    EXPECT_EQ(wait(), 0u);
  }}.join();
  Pair& last = pairs[many - 1];
  ASSERT_FALSE(backend_->set_interest(last.local.get(), RawInterest::in | RawInterest::edge,
                                      RawInterest::none, {many - 1, 1}));
  last.local.close();
  pollfd peer{last.peer.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&peer, 1, 5000), 1);
  // And the loop goes on, here.
  const Pair fresh = make_pair(PairKind::unix_stream);
  write_bytes(fresh.peer, "abc");
  ASSERT_FALSE(
      backend_->set_interest(fresh.local.get(), RawInterest::none, RawInterest::in, {0, 2}));
  std::uint32_t delivered = 0;
  for (int i = 0; i < 100 && delivered == 0; ++i) delivered = wait();
  EXPECT_EQ(delivered, 1u);
}

TEST_F(IoUring, ReportsNothingOfAnotherFileThatGotTheNumberOfOneThatWasClosed) {
  for (const bool both_written : {false, true}) {
    Pair old = make_pair(PairKind::unix_stream);
    const Pair fresh = make_pair(PairKind::unix_stream);
    ASSERT_FALSE(change(old.local, RawInterest::none, RawInterest::in));
    EXPECT_EQ(look(), RawReady::none);
    ASSERT_EQ(::dup2(fresh.local.get(), old.local.get()), old.local.get());
    if (both_written) write_bytes(fresh.peer, "not for the old one");
    old.peer.close();  // which its request learns of
    EXPECT_EQ(look(), RawReady::none);
    write_bytes(fresh.peer, "not for the old one");
    EXPECT_EQ(look(), RawReady::none);
    EXPECT_TRUE(change(old.local, RawInterest::in, RawInterest::out));
  }
}

TEST_F(IoUring, ReceivesAllWherePollTakesNoDescriptors) {
  // poll(2) refuses more of them than may be opened, also those that were opened before.
  const Pair pair = make_pair(PairKind::tcp4);
  for (const rlim_t most : {rlim_t{0}, rlim_t{1}}) {
    const DescriptorLimit limit{most};
    for (const bool waits : {false, true}) {
      const auto look_once = [&] { return waits ? look(5s) : look(0ns); };
      ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
      EXPECT_EQ(look(), RawReady::none);
      write_bytes(pair.peer, "abc");
      EXPECT_EQ(look_once(), RawReady::in);
      EXPECT_EQ(look_once(), RawReady::in);
      drain(pair.local);
      EXPECT_EQ(look(0ns), RawReady::none);
      EXPECT_EQ(look(), RawReady::none);
      ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::out));
      EXPECT_EQ(look_once(), RawReady::out);
      ASSERT_FALSE(change(pair.local, RawInterest::out, RawInterest::none));
    }
  }
}

TEST_F(IoUring, ReceivesEachOfManyWherePollTakesFew) {
  constexpr std::uint32_t many = 100;
  for (const RawInterest interest : {RawInterest::in, RawInterest::in | RawInterest::edge}) {
    std::vector<Pair> pairs;
    std::vector<bool> delivered(many);
    std::array<RawEvent, 64> out;
    for (std::uint32_t i = 0; i < many; ++i) {
      pairs.push_back(make_pair(PairKind::unix_stream));
      ASSERT_FALSE(
          backend_->set_interest(pairs[i].local.get(), RawInterest::none, interest, {i, 1}));
    }
    EXPECT_EQ(backend_->wait(out, Timeout{1ms}).count, 0u);
    const DescriptorLimit limit{8};
    for (const Pair& pair : pairs) write_bytes(pair.peer, "abc");
    for (int i = 0; i < 100 && std::ranges::count(delivered, false) != 0; ++i) {
      const WaitResult result = backend_->wait(out, Timeout{1ms});
      EXPECT_EQ(result.error, 0);
      for (std::size_t at = 0; at < result.count; ++at) {
        delivered[out[at].token.slot] = true;
        drain(pairs[out[at].token.slot].local);
      }
    }
    EXPECT_EQ(std::ranges::count(delivered, false), 0);
    for (std::uint32_t i = 0; i < many; ++i)
      ASSERT_FALSE(
          backend_->set_interest(pairs[i].local.get(), interest, RawInterest::none, {i, 1}));
  }
}

TEST_F(IoUring, WatchesAListenerWhereThereIsNoDescriptorForItsSet) {
  const Handle listener = make_listener(PairKind::unix_stream);
  const Handle other = make_listener(PairKind::unix_stream);
  std::optional<DescriptorLimit> limit{0};
  ASSERT_FALSE(change(listener, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  limit.reset();
  const Handle client = start_connect(PairKind::unix_stream, listener);
  limit.emplace(0);
  EXPECT_EQ(look(5s), RawReady::in);
  EXPECT_EQ(look(5s), RawReady::in);
  ASSERT_FALSE(change(listener, RawInterest::in, RawInterest::none));
}

TEST_F(IoUring, WatchesATerminalThatWakesForNothingWhereThereIsNoDescriptorForItsSet) {
  const Pair terminal = make_terminal();
  ASSERT_FALSE(change(terminal.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  const DescriptorLimit limit{0};
  for (int i = 0; i < 3; ++i) {
    set_attributes(terminal.local);
    EXPECT_EQ(look(), RawReady::none);
  }
  write_bytes(terminal.peer, "abc\n");
  EXPECT_EQ(look(5s), RawReady::in);
  EXPECT_EQ(look(5s), RawReady::in);
}

TEST_F(IoUring, RefusesAPriorityWatchWhereThereIsNoDescriptorForItsSet) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  {
    const DescriptorLimit limit{0};
    EXPECT_EQ(change(pair.local, RawInterest::in, RawInterest::pri),
              std::errc::too_many_files_open);
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(look(5s), RawReady::in) << "the old interest is gone";
    ASSERT_FALSE(change(pair.local, RawInterest::in, RawInterest::none));
    EXPECT_EQ(change(pair.local, RawInterest::none, RawInterest::pri),
              std::errc::too_many_files_open);
    EXPECT_EQ(change(pair.local, RawInterest::pri, RawInterest::pri),
              std::errc::no_such_file_or_directory);
  }
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::pri));
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_EQ(look(5s), RawReady::pri);
}

TEST_F(IoUring, SaysForAsLongAsItLastsThatItsSetIsLostAndLearnsOfPriorityAfterwards) {
  Pair closed = make_pair(PairKind::tcp4);
  const Pair pair = make_pair(PairKind::tcp4);
  const Pair bytes = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(change(closed.local, RawInterest::none, RawInterest::pri));
  ASSERT_FALSE(
      backend_->set_interest(pair.local.get(), RawInterest::none, RawInterest::pri, {2, 1}));
  ASSERT_FALSE(
      backend_->set_interest(bytes.local.get(), RawInterest::none, RawInterest::in, {3, 1}));
  EXPECT_EQ(look(), RawReady::none);
  // It stays in the set, and cannot be taken out of it: the set is made anew.
  const Handle duplicate{::dup(closed.local.get())};
  const NativeHandle number = closed.local.get();
  closed.local.close();
  static_cast<void>(backend_->set_interest(number, RawInterest::pri, RawInterest::none, token));
  ASSERT_EQ(::send(closed.peer.get(), "!", 1, MSG_OOB), 1);
  std::array<RawEvent, 4> out;
  {
    const DescriptorLimit limit{0};
    WaitResult result = backend_->wait(out, Timeout{1ms});
    EXPECT_EQ(result.count, 0u);
    for (const Timeout timeout : {Timeout{1h}, Timeout::infinite(), Timeout::zero()}) {
      result = backend_->wait(out, timeout);
      EXPECT_EQ(result.count, 0u);
      EXPECT_EQ(result.error, EMFILE);
    }
    write_bytes(bytes.peer, "abc");
    result = backend_->wait(out, Timeout{5s});
    ASSERT_EQ(result.count, 1u) << "what else there is, is not heard";
    EXPECT_EQ(out[0].token.slot, 3u);
    drain(bytes.local);
    EXPECT_EQ(backend_->wait(out, Timeout{5s}).error, EMFILE);
  }
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  const WaitResult result = backend_->wait(out, Timeout{5s});
  EXPECT_EQ(result.error, 0);
  ASSERT_EQ(result.count, 1u);
  EXPECT_EQ(out[0].token.slot, 2u);
  EXPECT_EQ(out[0].ready, RawReady::pri);
}

TEST_F(IoUring, LearnsOfPriorityUnderANumberThatItsSetStillHas) {
  Pair pair = make_pair(PairKind::tcp4);
  const Handle duplicate{::dup(pair.local.get())};
  const NativeHandle number = pair.local.get();
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::pri));
  EXPECT_EQ(look(), RawReady::none);
  pair.local.close();
  static_cast<void>(backend_->set_interest(number, RawInterest::pri, RawInterest::none, token));
  const Handle again{::fcntl(duplicate.get(), F_DUPFD_CLOEXEC, number)};
  ASSERT_EQ(again.get(), number);
  ASSERT_FALSE(change(again, RawInterest::none, RawInterest::pri));
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB), 1);
  EXPECT_EQ(look(5s), RawReady::pri);
}

TEST_F(IoUring, ReportsAnEdgeOfAListenerOnce) {
  const Handle listener = make_listener(PairKind::unix_stream);
  ASSERT_FALSE(change(listener, RawInterest::none, RawInterest::in | RawInterest::edge));
  EXPECT_EQ(look(), RawReady::none);
  for (int i = 0; i < 3; ++i) {
    const Handle client = start_connect(PairKind::unix_stream, listener);
    EXPECT_EQ(look(5s), RawReady::in);
    EXPECT_EQ(look(), RawReady::none);
    EXPECT_EQ(look(), RawReady::none);
  }
}

TEST_F(IoUring, EndsARegistrationThatHasGoneByItselfUnseen) {
  // The second one's request fails, and waits behind the first one's to be taken.
  std::array<RawEvent, 1> out;
  for (int i = 0; i < 3; ++i) {
    Pair first = make_pair(PairKind::unix_stream);
    Pair second = make_pair(PairKind::unix_stream);
    write_bytes(first.peer, "abc");
    ASSERT_FALSE(change(first.local, RawInterest::none, RawInterest::in));
    ASSERT_FALSE(
        backend_->set_interest(second.local.get(), RawInterest::none, RawInterest::in, {2, 1}));
    const NativeHandle number = second.local.get();
    second.local.close();
    EXPECT_EQ(backend_->wait(out, Timeout{5s}).count, 1u);
    static_cast<void>(backend_->set_interest(number, RawInterest::in, RawInterest::none, {2, 1}));
    ASSERT_FALSE(change(first.local, RawInterest::in, RawInterest::none));
  }
}

TEST_F(IoUring, TakesOneCallMoreForWhatIsInItsSet) {
  const Handle listener = make_listener(PairKind::unix_stream);
  ASSERT_FALSE(change(listener, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
  for (int i = 0; i < 3; ++i) {
    std::uint64_t before = backend_->system_calls();
    EXPECT_EQ(look(), RawReady::none);
    EXPECT_EQ(backend_->system_calls(), before + 1);
    const Handle client = start_connect(PairKind::unix_stream, listener);
    before = backend_->system_calls();
    EXPECT_EQ(look(), RawReady::in);
    EXPECT_EQ(backend_->system_calls(), before + 2);
    const Handle accepted = accept_one(listener);
    EXPECT_EQ(look(), RawReady::none);
  }
}

TEST_F(IoUring, SaysSoWhenItsDescriptorsHaveBeenClosed) {
  for (const bool waited_before : {false, true}) {
    EXPECT_TRUE(in_a_child([&] {
      SetUp();
      std::array<RawEvent, 4> out;
      if (waited_before) backend_->wait(out, Timeout{1ms});
      ::syscall(SYS_close_range, 3, ~0U, 0);  // not every C library has a function for it
      for (int i = 0; i < 3; ++i) {
        if (backend_->wait(out, Timeout{5s}).error == 0) return false;
      }
      // The numbers are others' by now, and not to be closed with the backend.
      std::vector<NativeHandle> others;
      for (int i = 0; i < 8; ++i) others.push_back(::open("/proc/self/exe", O_RDONLY));
      if (backend_->wait(out, Timeout{5s}).error == 0) return false;
      return true;
    })) << waited_before;
  }
}

TEST_F(IoUring, SaysSoWhenItsWakeHandleHasBeenClosed) {
  EXPECT_TRUE(in_a_child([&] {
    const NativeHandle wake = ::dup(2);  // the number that it will have
    ::close(wake);
    SetUp();
    ::close(wake);
    std::array<RawEvent, 4> out;
    for (int i = 0; i < 3; ++i) {
      if (backend_->wait(out, Timeout{5s}).error != EBADF) return false;
    }
    return true;
  }));
}

TEST_F(IoUring, EndsThousandsOfRequestsWithItself) {
  std::vector<Pair> pairs;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    ASSERT_FALSE(backend_->set_interest(pairs.back().local.get(), RawInterest::none,
                                        RawInterest::in, {i, 1}));
  }
  EXPECT_EQ(look(), RawReady::none);
  for (std::size_t i = 0; i < pairs.size(); i += 2) write_bytes(pairs[i].peer, "abc");
  for (std::size_t i = 0; i < pairs.size(); i += 4) drain(pairs[i].local);
  backend_.reset();
  for (Pair& pair : pairs) {
    pair.local.close();
    pollfd peer{pair.peer.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&peer, 1, 0), 1);
  }
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
  std::size_t delivered = 0;
  for (int i = 0; i < 1000 && delivered < pairs.size(); ++i) {
    const WaitResult result = backend_->wait(out, Timeout{1s});
    for (std::size_t at = 0; at < result.count; ++at)
      delivered += drain(pairs[out[at].token.slot].local) / 3;
  }
  EXPECT_EQ(delivered, pairs.size());
}

}  // namespace
}  // namespace pollux
