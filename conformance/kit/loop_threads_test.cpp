// SPDX-License-Identifier: MIT
// wake() and stop() from other threads, the only members that may be called from any. Goal: none is
// lost, whether it comes before, during or after a wait; also what ThreadSanitizer is run over.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "conformance/kit/kit.hpp"
#include "conformance/support/latch.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AnotherThread : public OnEachBackend {};

TEST_P(AnotherThread, StopsTheLoop) {
  const Pair idle = make_pair(PairKind::tcp4);
  Recorder local{reactor(), idle.local, Interest::readable};
  for (int i = 0; i < 50; ++i) {
    Latch started{1};
    Thread other{[&] {
      started.wait();
      reactor().stop();
    }};
    started.count_down();
    EXPECT_EQ(reactor().run(), 0u);
  }
}

TEST_P(AnotherThread, WakesTheLoop) {
  for (int i = 0; i < 50; ++i) {
    Latch started{1};
    Thread other{[&] {
      started.wait();
      reactor().wake();
    }};
    started.count_down();
    EXPECT_EQ(reactor().run_once(), 0u);
  }
}

TEST_P(AnotherThread, HandsOverWorkAndNoneOfItIsLost) {
  // A queue of one number: what a thread has put there before it wakes the loop is seen after
  // run_once().
  constexpr int rounds = 2000;
  std::atomic<int> produced{0};
  std::atomic<int> consumed{0};
  Thread producer{[&] {
    for (int i = 1; i <= rounds; ++i) {
      produced = i;
      reactor().wake();
      while (i % 100 == 0 && consumed < i) std::this_thread::yield();
    }
  }};
  while (consumed < rounds) {
    EXPECT_EQ(reactor().run_once(), 0u);
    consumed = produced.load();
  }
}

TEST_P(AnotherThread, IsOneOfManyThatWakeTheLoopAtOnce) {
  std::atomic<int> alive{4};
  std::vector<Thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      for (int round = 0; round < 500; ++round) reactor().wake();
      --alive;
      reactor().wake();
    });
  }
  while (alive > 0) EXPECT_EQ(reactor().run_once(), 0u);
}

TEST_P(AnotherThread, MayWriteToWhatIsWatched) {
  Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t received = 0;
  drain_on_readable(local, pair.local, received);
  Thread other{[&] {
    for (int i = 0; i < 100; ++i) write_bytes(pair.peer, "0123456789");
    pair.peer.close();
  }};
  EXPECT_TRUE(delivers(local, "readable end_of_stream"));
  EXPECT_EQ(received, 1000u);
}

TEST_P(AnotherThread, RunsALoopOfItsOwn) {
  const auto serve = [this] {
    Reactor own{make_contestant(backend())};
    Pair pair = make_pair(PairKind::tcp4);
    Recorder local{own, pair.local, Interest::readable};
    for (int i = 0; i < 20; ++i) {
      write_bytes(pair.peer, "abc");
      EXPECT_TRUE(delivers(local, "readable"));
      EXPECT_EQ(drain(pair.local), 3u);
      local.forget();
    }
    pair.peer.close();
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  };
  Thread one{serve};
  Thread other{serve};
}

TEST_P(AnotherThread, MayTakeTheLoopOver) {
  Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  Thread{[&] {
    EXPECT_EQ(drain(pair.local), 3u);
    local.forget();
    pair.peer.close();
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  }}.join();
  EXPECT_TRUE(delivers_nothing(local));
}

POLLUX_ON_EACH_BACKEND(AnotherThread);

}  // namespace
}  // namespace pollux::conformance
