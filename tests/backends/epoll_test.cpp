// SPDX-License-Identifier: MIT
// What epoll does and the core above it lives with: facts that rules 2, 4, 11 and 16 are built
// upon. If one of these fails, a kernel has changed, and something in the core can be simpler or
// must be other.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"

namespace {

/// Called by each epoll_ctl() of this program: what it is to fail with, or 0.
std::function<int(int operation)> refusal_of_change;

}  // namespace

/// In place of libc's, which has declared it `noexcept`, or not (musl). No kernel can be brought to
/// refuse a change for want of memory.
extern "C" int epoll_ctl(int set, int operation, int handle,
                         epoll_event* event) noexcept(noexcept(::epoll_ctl(0, 0, 0, nullptr))) {
  if (refusal_of_change) {
    errno = refusal_of_change(operation);
    if (errno != 0) return -1;
  }
  return static_cast<int>(::syscall(SYS_epoll_ctl, set, operation, handle, event));
}

namespace pollux {
namespace {

using namespace support;

class Epoll : public testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    backend_ = make_backend("epoll", error);
    ASSERT_FALSE(error) << error.message();
  }

  std::error_code change(const Handle& handle, RawInterest from, RawInterest to) {
    return backend_->set_interest(handle.get(), from, to, token);
  }

  /// What one wait reports of the only registration; nothing is none.
  RawReady look() {
    std::array<RawEvent, 4> out;
    const WaitResult result = backend_->wait(out, Timeout::zero());
    EXPECT_LE(result.count, 1u);
    return result.count == 0 ? RawReady::none : out[0].ready;
  }

  static constexpr Token token{1, 1};
  std::unique_ptr<Backend> backend_;
};

TEST_F(Epoll, ReportsHangUpUnaskedForAsLongAsTheDescriptorIsInTheSet) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup));
  EXPECT_EQ(look(), RawReady::none);
  shutdown_both(pair.local);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(), RawReady::hup);
  ASSERT_FALSE(change(pair.local, RawInterest::hup, RawInterest::none));
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(Epoll, GoesOnReportingAClosedDescriptorWhoseFileADuplicateKeepsAliveAndCannotRemoveIt) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(), RawReady::in);
  EXPECT_EQ(backend_->set_interest(number, RawInterest::in, RawInterest::none, token),
            std::errc::bad_file_descriptor);
  EXPECT_EQ(look(), RawReady::in);
  ASSERT_FALSE(backend_->reset());
  EXPECT_EQ(look(), RawReady::none) << "a set made anew does not know it";
}

TEST_F(Epoll, ForgetsAClosedDescriptorThatWasNeverDuplicated) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(), RawReady::in);
  pair.local.close();
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(Epoll, AskedForEdgesReportsAConditionThatStaysOnce) {
  Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.local, "left unread by the peer");
  reset_connection(pair.peer);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup | RawInterest::edge));
  EXPECT_EQ(look(), RawReady::hup | RawReady::err);
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_FALSE(change(pair.local, RawInterest::hup | RawInterest::edge, RawInterest::hup));
  EXPECT_EQ(look(), RawReady::hup | RawReady::err) << "a change reports anew what is true";
}

TEST_F(Epoll, DoesNotReportTheEndOfAPipeAsRdhup) {
  Pair pair = make_pair(PairKind::pipe);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in | RawInterest::rdhup));
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_EQ(look(), RawReady::in | RawReady::hup);
  drain(pair.local);
  EXPECT_EQ(look(), RawReady::hup);
}

/// epoll_pwait2(2), whose number is the same on each processor.
bool has_exact_waits() {
  constexpr long epoll_pwait2 = 441;
  return ::syscall(epoll_pwait2, -1, nullptr, 1, nullptr, nullptr, 0) == 0 || errno != ENOSYS;
}

TEST_F(Epoll, WaitsForLessThanAMillisecondIfItIsTo) {
  std::chrono::microseconds limit{900};
  if (!has_exact_waits()) {
    RecordProperty("not_played", "no epoll_pwait2 here (Linux 5.11): waits of whole milliseconds");
    limit += std::chrono::milliseconds{1};
  }
  std::array<RawEvent, 4> out;
  auto best = std::chrono::nanoseconds::max();
  for (int i = 0; i < 1000 && best >= limit; ++i) {
    const auto start = std::chrono::steady_clock::now();
    errno = EPERM;  // from somebody else's call
    backend_->wait(out, Timeout{std::chrono::microseconds{100}});
    const auto took = std::chrono::steady_clock::now() - start;
    if (took >= std::chrono::microseconds{100})
      best = std::min<std::chrono::nanoseconds>(best, took);
  }
  EXPECT_LT(best, limit);
}

/// Whoever newly asks for `writable` is asked about with one poll() before it is armed.
class EpollAsked : public Epoll {
 protected:
  void SetUp() override {
    Epoll::SetUp();
    ASSERT_FALSE(change(pair_.local, RawInterest::none, RawInterest::in));
  }
  void TearDown() override { refusal_of_change = nullptr; }

  /// One wait that may last; what it reports of the only registration.
  RawReady wait() {
    std::array<RawEvent, 4> out;
    const WaitResult result = backend_->wait(out, Timeout{std::chrono::seconds{10}});
    EXPECT_EQ(result.count, 1u);
    return result.count == 0 ? RawReady::none : out[0].ready;
  }

  /// The system calls that `act` takes.
  template <class Act>
  std::uint64_t calls(Act act) {
    const std::uint64_t before = backend_->system_calls();
    act();
    return backend_->system_calls() - before;
  }

  void ask() { ASSERT_FALSE(change(pair_.local, RawInterest::in, both)); }
  void stop_asking() { ASSERT_FALSE(change(pair_.local, both, RawInterest::in)); }

  static constexpr RawInterest both = RawInterest::in | RawInterest::out;
  Pair pair_ = make_pair(PairKind::unix_stream);
};

TEST_F(EpollAsked, IsDeliveredByOneCallWhereThereIsRoom) {
  EXPECT_EQ(calls([this] { ask(); }), 0u);
  EXPECT_EQ(calls([this] { EXPECT_EQ(wait(), RawReady::out); }), 1u);
  EXPECT_EQ(calls([this] { stop_asking(); }), 0u);
  EXPECT_EQ(calls([this] { EXPECT_EQ(look(), RawReady::none); }), 1u);
}

TEST_F(EpollAsked, IsDeliveredAllThatIsTrueOfIt) {
  write_bytes(pair_.peer, "abc");
  ask();
  EXPECT_EQ(wait(), RawReady::in | RawReady::out);
}

TEST_F(EpollAsked, IsArmedIfItGoesOnAskingAndThenIsDeliveredByTheKernel) {
  ask();
  EXPECT_EQ(wait(), RawReady::out);
  EXPECT_EQ(calls([this] { EXPECT_EQ(wait(), RawReady::out); }), 2u) << "armed, and waited for";
  EXPECT_EQ(calls([this] { EXPECT_EQ(wait(), RawReady::out); }), 1u);
  EXPECT_EQ(calls([this] { stop_asking(); }), 1u);
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(EpollAsked, IsArmedAtOnceWhereThereIsNoRoomAndDeliveredWhenThereIs) {
  fill(pair_.local);
  ask();
  EXPECT_EQ(calls([this] { EXPECT_EQ(look(), RawReady::none); }), 3u);
  drain(pair_.peer);
  EXPECT_EQ(wait(), RawReady::out);
}

TEST_F(EpollAsked, IsAskedAgainTheNextTimeThatItNewlyAsks) {
  for (int i = 0; i < 5; ++i) {
    ask();
    EXPECT_EQ(calls([this] { EXPECT_EQ(wait(), RawReady::out); }), 1u);
    stop_asking();
    EXPECT_EQ(look(), RawReady::none);
  }
}

TEST_F(EpollAsked, DoesNotKeepTheOthersWaiting) {
  const Pair other = make_pair(PairKind::unix_stream);
  constexpr Token other_token{2, 1};
  ASSERT_FALSE(
      backend_->set_interest(other.local.get(), RawInterest::none, RawInterest::in, other_token));
  write_bytes(other.peer, "abc");
  bool received = false;
  for (int i = 0; i < 2; ++i) {
    ask();
    std::array<RawEvent, 4> out;
    const WaitResult result = backend_->wait(out, Timeout::infinite());
    for (std::uint32_t k = 0; k < result.count; ++k) received |= out[k].token == other_token;
    stop_asking();
  }
  EXPECT_TRUE(received) << "somebody asks anew before each wait";
}

TEST_F(EpollAsked, IsDeliveredBesideTheOthersByAWaitThatIsToSayWhatIsReadyNow) {
  const Pair other = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(
      backend_->set_interest(other.local.get(), RawInterest::none, RawInterest::in, Token{2, 1}));
  write_bytes(other.peer, "abc");
  ask();
  std::array<RawEvent, 4> out;
  EXPECT_EQ(backend_->wait(out, Timeout::zero()).count, 2u);
}

TEST_F(EpollAsked, IsForgottenWhenItsNumberIsAnothers) {
  ask();
  const NativeHandle number = pair_.local.get();
  pair_.local.close();
  Pair other = make_pair(PairKind::unix_stream);
  ASSERT_EQ(::dup2(other.local.get(), number), number);
  const Handle reused{number};
  constexpr Token other_token{1, 2};
  ASSERT_FALSE(backend_->set_interest(number, RawInterest::none, RawInterest::in, other_token));
  write_bytes(other.peer, "abc");
  std::array<RawEvent, 4> out;
  const WaitResult result = backend_->wait(out, Timeout::zero());
  ASSERT_EQ(result.count, 1u);
  EXPECT_EQ(out[0].token, other_token);
  EXPECT_EQ(out[0].ready, RawReady::in);
}

TEST_F(EpollAsked, IsNotAskedAboutAfterItsWatchHasEnded) {
  ask();
  ASSERT_FALSE(change(pair_.local, both, RawInterest::none));
  EXPECT_EQ(look(), RawReady::none);
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(EpollAsked, IsNotAskedAboutAfterACloseThatEndsItsWatch) {
  ask();
  const NativeHandle number = pair_.local.get();
  backend_->remove_closing(number, both, token);
  pair_.local.close();
  const Pair other = make_pair(PairKind::unix_stream);
  ASSERT_EQ(::dup2(other.local.get(), number), number);
  const Handle reused{number};
  EXPECT_EQ(look(), RawReady::none) << "the number is another's";
  ASSERT_FALSE(change(reused, RawInterest::none, RawInterest::in));
  write_bytes(other.peer, "abc");
  EXPECT_EQ(wait(), RawReady::in);
}

TEST_F(EpollAsked, IsForgottenByAReset) {
  ask();
  ASSERT_FALSE(backend_->reset());
  EXPECT_EQ(look(), RawReady::none) << "nothing is registered";
  ASSERT_FALSE(change(pair_.local, RawInterest::none, RawInterest::in));
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(EpollAsked, LeavesTheOthersTheirQuestions) {
  const Pair second = make_pair(PairKind::unix_stream);
  const Pair third = make_pair(PairKind::unix_stream);
  constexpr Token tokens[] = {{2, 1}, {3, 1}};
  for (const Pair* pair : {&second, &third}) {
    const Token named = tokens[pair == &third];
    ASSERT_FALSE(
        backend_->set_interest(pair->local.get(), RawInterest::none, RawInterest::in, named));
  }
  // Of three the first is dropped, and the last takes its place; then that is dropped.
  ask();
  ASSERT_FALSE(backend_->set_interest(second.local.get(), RawInterest::in, both, tokens[0]));
  ASSERT_FALSE(backend_->set_interest(third.local.get(), RawInterest::in, both, tokens[1]));
  stop_asking();
  ASSERT_FALSE(backend_->set_interest(third.local.get(), both, RawInterest::in, tokens[1]));
  std::array<RawEvent, 4> out;
  const WaitResult result = backend_->wait(out, Timeout::zero());
  ASSERT_EQ(result.count, 1u);
  EXPECT_EQ(out[0].token, tokens[0]);
}

TEST_F(EpollAsked, IsArmedLaterWhereTheKernelHasNoMemory) {
  fill(pair_.local);
  ask();
  int refused = 0;
  refusal_of_change = [&](int) { return ++refused <= 2 ? ENOMEM : 0; };
  EXPECT_EQ(look(), RawReady::none);
  EXPECT_EQ(look(), RawReady::none);
  EXPECT_EQ(look(), RawReady::none);
  refusal_of_change = nullptr;
  EXPECT_EQ(refused, 3);
  drain(pair_.peer);
  EXPECT_EQ(wait(), RawReady::out);
}

TEST_F(EpollAsked, IsNotWaitedForWithoutAnEndWhileItCannotBeArmed) {
  ask();
  // There is room in the moment after it was asked, and could not be armed: no wait learns of that.
  refusal_of_change = [this](int) {
    drain(pair_.peer);
    return ENOMEM;
  };
  // Several times: a ring that this process has closed interrupts a wait a little later, once.
  for (int i = 0; i < 5; ++i) {
    fill(pair_.local);
    std::array<RawEvent, 4> out;
    EXPECT_EQ(backend_->wait(out, Timeout{std::chrono::hours{1}}).count, 0u);
  }
  refusal_of_change = nullptr;
  EXPECT_EQ(wait(), RawReady::out);
}

TEST_F(EpollAsked, IsArmedForALoopThatWaitsOnTheSet) {
  ask();
  EXPECT_EQ(calls([this] { EXPECT_NE(backend_->native_handle(), no_handle); }), 1u);
  EXPECT_EQ(calls([this] { stop_asking(); }), 1u);
  EXPECT_EQ(calls([this] { ask(); }), 1u) << "from now on at once";
}

/// What a loop pays the kernel. The workload's own reads and writes are not in it.
class EpollLoop : public testing::Test {
 protected:
  /// The reactor's system calls of one `operation`, of many.
  template <class Operation>
  double calls_of(Operation operation) {
    constexpr int operations = 1000;
    for (int i = 0; i < 10; ++i) operation();
    const std::uint64_t before = reactor_.stats().system_calls;
    for (int i = 0; i < operations; ++i) operation();
    return static_cast<double>(reactor_.stats().system_calls - before) / operations;
  }

  /// Of a byte that is delivered and read.
  double calls_of_an_event() {
    const StreamWatch watch = reactor_.watch_stream(
        pair_.local.get(), Interest::readable, [this](const StreamEvent&) { drain(pair_.local); });
    return calls_of([this] {
      write_bytes(pair_.peer, "x");
      reactor_.run_once();
    });
  }

  Reactor reactor_{"epoll"};
  Pair pair_ = make_pair(PairKind::unix_stream);
};

/// One more for every 256 reports: whether the descriptor still is what is watched.
constexpr double now_and_then = 1.0 / 128;

TEST_F(EpollLoop, MakesOneCallAnEvent) {
  EXPECT_LE(calls_of_an_event(), 1 + now_and_then);
}

TEST_F(EpollLoop, MakesOneCallAnEventAlsoWhileATimerIsArmed) {
  const Timer far = reactor_.after(std::chrono::hours{1}, [] {});
  EXPECT_LE(calls_of_an_event(), 1 + now_and_then);
}

TEST_F(EpollLoop, MakesOneCallAnEventAlsoWhileATimerIsDueInEachTurn) {
  std::uint64_t fired = 0;
  Timer again;
  again = reactor_.after(std::chrono::nanoseconds{0}, [&] {
    ++fired;
    again.restart(std::chrono::nanoseconds{0});
  });
  const std::uint64_t turns = reactor_.stats().turns;
  EXPECT_LE(calls_of_an_event(), 1 + now_and_then);
  EXPECT_GE(fired + 1, reactor_.stats().turns - turns);
}

TEST_F(EpollLoop, MakesNoCallForInterestThatIsAskedForAndDroppedInOneHandler) {
  StreamWatch watch =
      reactor_.watch_stream(pair_.local.get(), Interest::readable, [&](const StreamEvent&) {
        drain(pair_.local);
        watch.set_interest(Interest::readable | Interest::writable);
        watch.set_interest(Interest::readable);
      });
  EXPECT_LE(calls_of([this] {
              write_bytes(pair_.peer, "x");
              reactor_.run_once();
            }),
            1 + now_and_then);
}

TEST_F(EpollLoop, MakesTwoCallsForARequestThatIsAnsweredWhenThereIsRoom) {
  StreamWatch watch =
      reactor_.watch_stream(pair_.local.get(), Interest::readable, [&](const StreamEvent& event) {
        if (event.readable()) {
          drain(pair_.local);
          watch.set_interest(Interest::readable | Interest::writable);
        } else if (event.writable()) {
          write_bytes(pair_.local, "y");
          watch.set_interest(Interest::readable);
        }
      });
  EXPECT_LE(calls_of([this] {
              write_bytes(pair_.peer, "x");
              reactor_.run_once();
              reactor_.run_once();
              drain(pair_.peer);
            }),
            2 + now_and_then);
}

TEST_F(EpollLoop, AddsAndRemovesWithACallEach) {
  EXPECT_EQ(calls_of([this] {
              Watch watch = reactor_.watch(pair_.local.get(), Interest::readable, [](Readiness) {});
            }),
            2);
}

}  // namespace
}  // namespace pollux
