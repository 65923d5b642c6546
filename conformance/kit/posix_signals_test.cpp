// SPDX-License-Identifier: MIT
// Signals as POSIX has them: sent to one thread, blocked by another, up to the last number, and in
// copies of a process.
#include <atomic>
#include <chrono>
#include <csignal>
#include <latch>
#include <memory>
#include <thread>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <pollux/error.hpp>

#include "conformance/kit/signals.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/processes.hpp"
#include "conformance/support/signal_numbers.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class ASignalOnPosix : public WithSignals {};

TEST_P(ASignalOnPosix, MayHaveTheLastNumber) {
  // qemu-user accepts the last two, and delivers neither.
  const int last_signo = emulator().empty() ? last_signal() : last_signal() - 2;
  if (last_signo != last_signal())
    RecordProperty("not_played", "the last signal, which an emulator may not deliver");
  const SignalWatch last = watch(last_signo, 'a');
  ::raise(last_signo);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(received, "a");
}

TEST_P(ASignalOnPosix, ThatTheLoopsThreadItselfGetsWhileItWaitsEndsTheWait) {
  const SignalWatch own = watch(first_signal, 'a');
  const pthread_t loop = ::pthread_self();
  reactor().poll();  // for ThreadSanitizer, which may lose what comes in a thread's first wait
  for (int i = 0; i < 50; ++i) {
    std::latch started{1};
    Thread other{[&] {
      started.wait();
      ::pthread_kill(loop, first_signal);
    }};
    started.count_down();
    EXPECT_EQ(reactor().run_once(), 1u);
  }
}

TEST_P(ASignalOnPosix, ThatTheLoopsThreadBlocksIsTakenByAnother) {
  const SignalWatch own = watch(first_signal, 'a');
  Pair held = make_pair(PairKind::pipe);
  std::latch started{1};
  Thread other{[&] {
    // Not a latch, and not the thread's first: ThreadSanitizer holds signals back until a wait that
    // it knows.
    pollfd waited{held.local.get(), POLLIN, 0};
    ::poll(&waited, 1, 0);
    started.count_down();
    while (::poll(&waited, 1, -1) != 1) {
    }
  }};
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, first_signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  started.wait();
  ::kill(::getpid(), first_signal);
  EXPECT_EQ(reactor().run_once(), 1u);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  held.peer.close();
}

TEST_P(ASignalOnPosix, IsOfParentOrChildAndNeverOfBoth) {
  const SignalWatch own = watch(first_signal, 'a');
  ::raise(first_signal);
  // In one that is made by a bare clone(), musl's raise() sends to the thread that the parent was.
  EXPECT_TRUE(in_each_child([&] {
    std::error_code error;
    const SignalWatch refused = reactor().on_signal(
        second_signal, [](int) {}, error);
    const bool said = !refused && error == Errc::forked;
    raise_signal(first_signal);
    reactor().after_fork();
    const bool before = reactor().poll() == 1 && reactor().poll() == 0 && !reactor().prepare();
    raise_signal(first_signal);
    return said && before && wakes_another_loop() && reactor().run_once() == 1 && received == "aa";
  }));
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    return reactor().poll() == 0;
  }));
  ::raise(first_signal);
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    return reactor().poll() == 0;
  }));
  EXPECT_EQ(reactor().poll(), 1u);
}

TEST_P(ASignalOnPosix, LeavesAForkedReactorAloneThatAfterForkWasNotCalledOn) {
  std::uint64_t waits = 0;
  // The kernel takes down an earlier test's ring in its own time, and that cuts waits short; a
  // child's signal would each time.
  for (int i = 0; waits != 1 && i < 10; ++i) {
    auto own = std::make_unique<Reactor>(make_contestant(backend()));
    const Disposition native{first_signal, &count_natively};
    native_calls = 0;
    SignalWatch forked = watch(*own, first_signal, 'a');
    EXPECT_TRUE(in_each_child([&] {
      raise_signal(first_signal);
      own.reset();
      raise_signal(first_signal);
      return native_calls == 1;
    }));
    waits = waits_in(glance, *own);
    ::raise(first_signal);
    EXPECT_EQ(own->run_once(5s), 1u);
  }
  EXPECT_EQ(waits, 1u) << "a child's signal has woken its parent";
}

TEST_P(ASignalOnPosix, IsNeverLostInAStorm) {
  // A queue of one number: what a thread has put there before it raises the signal is seen by the
  // handler that is called for it.
  constexpr int rounds = 2000;
  std::atomic<int> produced{0};
  std::atomic<int> consumed{0};
  const SignalWatch own =
      reactor().on_signal(first_signal, [&](int) { consumed = produced.load(); });
  const pthread_t loop = ::pthread_self();
  reactor().poll();
  Thread producer{[&] {
    for (int i = 1; i <= rounds; ++i) {
      produced = i;
      i % 2 == 0 ? ::pthread_kill(loop, first_signal) : ::raise(first_signal);
      while (i % 50 == 0 && consumed < i) std::this_thread::yield();
    }
  }};
  while (consumed < rounds) EXPECT_EQ(reactor().run_once(), 1u);
}

POLLUX_ON_EACH_BACKEND(ASignalOnPosix);

}  // namespace
}  // namespace pollux::conformance
