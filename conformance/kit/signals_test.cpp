// SPDX-License-Identifier: MIT
// Signals: heard in the loop's thread by everybody who watches them, none lost wherever and however
// it is raised, and the process as it was when nobody watches any more. A signal that was lost
// would hang its test, which ctest's time limit ends.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pollux/error.hpp>

#include "conformance/kit/signals.hpp"
#include "conformance/support/latch.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

std::atomic<Reactor*> to_stop{nullptr};

void stop_natively(int signo) {
  std::signal(signo, &stop_natively);  // the C library of Windows has taken it out
  to_stop.load()->stop();
}

class ASignal : public WithSignals {};

TEST_P(ASignal, IsDeliveredInTheLoopsThreadAndNotAtOnce) {
  std::optional<int> delivered;
  std::thread::id where;
  const SignalWatch own = reactor().on_signal(first_signal, [&](int signo) {
    delivered = signo;
    where = std::this_thread::get_id();
  });
  EXPECT_TRUE(own);
  Thread{[] { std::raise(first_signal); }}.join();
  EXPECT_FALSE(delivered);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(delivered, first_signal);
  EXPECT_EQ(where, std::this_thread::get_id());
  EXPECT_EQ(reactor().stats().process_events, 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(ASignal, IsDeliveredOnceForAllThatCameSinceTheLastCall) {
  const SignalWatch own = watch(first_signal, 'a');
  for (int i = 0; i < 3; ++i) std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(received, "aa");
}

TEST_P(ASignal, IsDeliveredByAllWhoWatchItAndByNobodyElse) {
  Reactor other{make_contestant(backend())};
  const SignalWatch one = watch(first_signal, 'a');
  const SignalWatch two = watch(first_signal, 'a');
  const SignalWatch elsewhere = watch(other, first_signal, 'b');
  const SignalWatch last = watch(other, second_signal, 'd');
  std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 2u);
  EXPECT_EQ(received, "aa");
  EXPECT_EQ(other.poll(), 1u);
  EXPECT_EQ(received, "aab");
  std::raise(second_signal);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(other.poll(), 1u);
  EXPECT_EQ(received, "aabd");
}

TEST_P(ASignal, ThatAnotherThreadGetsEndsTheWait) {
  const SignalWatch own = watch(first_signal, 'a');
  for (int i = 0; i < 50; ++i) {
    Latch started{1};
    Thread other{[&] {
      started.wait();
      std::raise(first_signal);
    }};
    started.count_down();
    EXPECT_EQ(reactor().run_once(), 1u);
  }
}

TEST_P(ASignal, LeavesErrnoAsItIs) {
  const SignalWatch own = watch(first_signal, 'a');
  errno = EXDEV;
  std::raise(first_signal);
  EXPECT_EQ(errno, EXDEV);
}

TEST_P(ASignal, ThatWasRaisedBeforeItWasWatchedIsNotDelivered) {
  const SignalWatch first = watch(first_signal, 'a');
  std::raise(first_signal);
  const SignalWatch second = watch(first_signal, 'b');
  reactor().poll();
  EXPECT_EQ(received, "a");
}

TEST_P(ASignal, ThatWasRaisedBeforeItsWatchEndedIsNotDelivered) {
  const Disposition native{first_signal, &count_natively};
  native_calls = 0;
  SignalWatch own = watch(first_signal, 'a');
  SignalWatch same = watch(first_signal, 'b');
  std::raise(first_signal);
  own.reset();
  EXPECT_FALSE(own);
  EXPECT_EQ(reactor().poll(), 1u);
  std::raise(first_signal);
  same.reset();
  EXPECT_EQ(reactor().poll(), 0u);
  const SignalWatch next = watch(first_signal, 'c');
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(received, "b");
  EXPECT_EQ(native_calls, 0);
}

TEST_P(ASignal, MayEndItsOwnWatchInItsHandler) {
  const auto captured = std::make_shared<int>(7);
  SignalWatch own;
  own = reactor().on_signal(first_signal, [&, captured](int) {
    own.reset();
    received += std::to_string(*captured);
  });
  const SignalWatch other = watch(first_signal, 'a');
  for (int i = 0; i < 2; ++i) {
    std::raise(first_signal);
    reactor().poll();
  }
  EXPECT_EQ(received, "7aa");
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_P(ASignal, IsNotDeliveredByAWatchThatAHandlerHasEnded) {
  std::vector<SignalWatch> watches;
  for (int i = 0; i < 3; ++i) {
    watches.push_back(reactor().on_signal(first_signal, [&](int) {
      received += 'a';
      watches.clear();
    }));
  }
  std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(received, "a");
}

TEST_P(ASignal, RaisedByAHandlerComesInTheNextTurn) {
  const SignalWatch own = reactor().on_signal(first_signal, [](int signo) { std::raise(signo); });
  const Pair pair = make_pair(cheapest_pair_kind());
  const Watch readable = reactor().watch(pair.local.get(), Interest::readable, [&](Readiness) {
    drain(pair.local);
    std::raise(first_signal);
  });
  write_bytes(pair.peer, "abc");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(reactor().poll(), 1u);
}

TEST_P(ASignal, ComesBetweenTheHandlersOfWatchesAndTimers) {
  const Pair pair = make_pair(cheapest_pair_kind());
  const Watch readable =
      reactor().watch(pair.local.get(), Interest::readable, [this](Readiness) { received += 'w'; });
  write_bytes(pair.peer, "abc");
  reactor().post([this] { received += 'p'; });
  const Timer timer = reactor().after(0s, [this] { received += 't'; });
  const SignalWatch own = watch(first_signal, 's');
  std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 4u);
  EXPECT_EQ(received, "wstp");
}

TEST_P(ASignal, MayStopTheLoopAndTheOthersAreDeliveredByTheNext) {
  std::vector<SignalWatch> watches;
  for (int i = 0; i < 3; ++i)
    watches.push_back(reactor().on_signal(first_signal, [&](int) { reactor().stop(); }));
  std::raise(first_signal);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(ASignal, ThatIsDueWhenAHandlerStopsTheLoopIsDeliveredByTheNext) {
  const Pair pair = make_pair(cheapest_pair_kind());
  const Watch readable = reactor().watch(pair.local.get(), Interest::readable, [&](Readiness) {
    drain(pair.local);
    reactor().stop();
  });
  const SignalWatch own = watch(first_signal, 'a');
  write_bytes(pair.peer, "abc");
  std::raise(first_signal);
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(received, "");
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(received, "a");
}

TEST_P(ASignal, MayStopTheLoopFromItsNativeHandler) {
  const Disposition native{second_signal, &stop_natively};
  to_stop = &reactor();
  const SignalWatch own = watch(first_signal, 'a');
  for (int i = 0; i < 20; ++i) {
    Latch started{1};
    Thread other{[&] {
      started.wait();
      std::raise(second_signal);
    }};
    started.count_down();
    EXPECT_EQ(reactor().run(), 0u);
  }
}

TEST_P(ASignal, WhoseHandlerThrowsIsDeliveredAndTheOthersFollow) {
  const SignalWatch one = reactor().on_signal(
      first_signal, [](int) { throw std::runtime_error{"thrown by a handler"}; });
  const SignalWatch other = watch(first_signal, 'a');
  std::raise(first_signal);
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(received, "a");
  EXPECT_TRUE(sleeps());
}

TEST_P(ASignal, IsForWhoeverHadItBeforeWhenNobodyWatchesItAnyMore) {
  const Disposition native{first_signal, &count_natively};
  native_calls = 0;
  {
    const SignalWatch own = watch(first_signal, 'a');
    SignalWatch elsewhere;
    {
      Reactor other{make_contestant(backend())};
      elsewhere = watch(other, first_signal, 'b');
      SignalWatch second = watch(first_signal, 'c');
      second.reset();
      std::raise(first_signal);
    }
    EXPECT_NE(handler_of(first_signal), &count_natively);
    std::raise(first_signal);
    reactor().poll();
    EXPECT_EQ(received, "a");
    EXPECT_EQ(native_calls, 0);
  }
  EXPECT_EQ(handler_of(first_signal), &count_natively);
  std::raise(first_signal);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(native_calls, 1);
}

TEST_P(ASignal, ThatSomebodyElseHasTakenMeanwhileIsLeftToThem) {
  const Disposition native{first_signal, SIG_IGN};
  SignalWatch own = watch(first_signal, 'a');
  const Disposition thief{first_signal, &count_natively};
  own.reset();
  EXPECT_EQ(handler_of(first_signal), &count_natively);
}

TEST_P(ASignal, ThatCannotBeWatchedIsRefused) {
  for (const int signo : never_signals()) {
    std::error_code error;
    EXPECT_FALSE(reactor().on_signal(
        signo, [](int) {}, error));
    EXPECT_EQ(error, std::errc::invalid_argument) << signo;
    EXPECT_THROW(static_cast<void>(reactor().on_signal(signo, [](int) {})), std::system_error);
  }
  std::error_code error;
  Reactor closed{"no such backend", error};
  EXPECT_FALSE(closed.on_signal(
      first_signal, [](int) {}, error));
  EXPECT_EQ(error, Errc::reactor_closed);
}

TEST_P(ASignal, IsNoLongerHeardWhenTheReactorIsGone) {
  const Disposition native{first_signal, SIG_IGN};
  SignalWatch own;
  {
    Reactor gone{make_contestant(backend())};
    own = watch(gone, first_signal, 'a');
    std::raise(first_signal);
  }
  EXPECT_EQ(handler_of(first_signal), SIG_IGN);
  own.reset();
  const SignalWatch next = watch(first_signal, 'b');
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(received, "");
}

TEST_P(ASignal, IsSomethingDueForALoopInPieces) {
  const SignalWatch own = watch(first_signal, 'a');
  EXPECT_EQ(reactor().prepare(), std::nullopt);
  std::raise(first_signal);
  EXPECT_TRUE(wakes_another_loop());
  EXPECT_EQ(reactor().next_timeout(), 0ns);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().prepare(), 0ns) << "the wake-up is used up, but not the signal";
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
  EXPECT_EQ(received, "a");
  EXPECT_FALSE(reactor().check());
  EXPECT_EQ(reactor().prepare(), std::nullopt);
}

TEST_P(ASignal, FindsLoopsInManyThreads) {
  constexpr int loops = 3;
  Latch watching{loops};
  std::vector<Thread> threads;
  for (int i = 0; i < loops; ++i) {
    threads.emplace_back([&] {
      Reactor own{make_contestant(backend())};
      const SignalWatch stops = own.on_signal(first_signal, [&](int) { own.stop(); });
      watching.count_down();
      EXPECT_EQ(own.run(), 1u);
    });
  }
  // One that has heard it is gone at once, maybe before the last has been delivered.
  const SignalWatch own = watch(first_signal, 'a');
  watching.wait();
  raise_signal(first_signal);
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(ASignal, MayBeRaisedWhileReactorsComeAndGo) {
  if (!handlers_may_change_while_signals_come())
    return RecordProperty("not_played", "a handler that changes meanwhile ends the emulator");
  const Disposition native{first_signal, SIG_IGN};
  std::atomic<bool> done = false;
  std::vector<Thread> raisers;
  const struct End {
    ~End() { done = true; }
    std::atomic<bool>& done;
  } end{done};
  const int together = system_facts().signals_may_meet ? 2 : 1;
  for (int i = 0; i < together; ++i) {
    raisers.emplace_back([&] {
      while (!done) {
        std::raise(first_signal);
        std::this_thread::yield();
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    Reactor one{make_contestant(backend())};
    const SignalWatch first = watch(one, first_signal, 'a');
    Reactor other{make_contestant(backend())};
    SignalWatch second = watch(other, first_signal, 'b');
    EXPECT_EQ(one.run_once(), 1u);
    if (i % 2 == 0) second.reset();
  }
}

POLLUX_ON_EACH_BACKEND(ASignal);

}  // namespace
}  // namespace pollux::conformance
