// SPDX-License-Identifier: MIT
// What other threads want the loop to do: nothing lost, in order, and a loop that sleeps is woken.
// A wake-up that was lost would hang its test, which ctest's time limit ends.
#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/forwarding_backend.hpp"
#include "conformance/support/latch.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class APostedTask : public OnEachBackend {};

TEST_P(APostedTask, IsCalledInTheNextTurnAndNotAtOnce) {
  bool called = false;
  reactor().post([&] { called = true; });
  EXPECT_FALSE(called);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(called);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(APostedTask, IsCalledAfterThoseThatWerePostedBefore) {
  std::string order;
  for (const char letter : {'a', 'b', 'c'}) reactor().post([&, letter] { order += letter; });
  EXPECT_EQ(reactor().run_once(), 3u);
  EXPECT_EQ(order, "abc");
}

/// Notes a number that it carries so many times.
template <std::size_t words>
struct Carrier {
  std::vector<std::size_t>& noted;
  std::array<std::size_t, words> number;

  void operator()() const {
    noted.push_back(number.front());
    for (const std::size_t word : number) EXPECT_EQ(word, number.front());
  }
};

template <std::size_t words>
Carrier<words> carrier(std::vector<std::size_t>& noted, std::size_t number) {
  Carrier<words> made{noted, {}};
  made.number.fill(number);
  return made;
}

TEST_P(APostedTask, MayCaptureAsMuchAsItLikes) {
  std::vector<std::size_t> noted;
  std::vector<std::size_t> expected;
  static std::size_t without_captures = 0;
  without_captures = 0;
  for (std::size_t i = 0; i < 4000; ++i) {
    switch (i % 6) {
      case 0:
        reactor().post([] { ++without_captures; });
        continue;
      case 1:
        reactor().post(Handler<void>{});
        continue;
      case 2:
        reactor().post(carrier<1>(noted, i));
        break;
      case 3:
        reactor().post(carrier<2>(noted, i));
        break;
      case 4:
        reactor().post(carrier<9>(noted, i));
        break;
      default:
        reactor().post(
            [&noted, owned = std::make_unique<std::size_t>(i)] { noted.push_back(*owned); });
    }
    expected.push_back(i);
  }
  EXPECT_EQ(reactor().run_once(), 4000u);
  EXPECT_EQ(noted, expected);
  EXPECT_EQ(without_captures, 667u);
}

TEST_P(APostedTask, ThatPostsComesAgainInTheNextTurnAndStarvesNobody) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t calls = 0;
  const Poster poster = reactor().poster();
  struct Again {
    const Poster& poster;
    std::size_t& calls;
    void operator()() const {
      ++calls;
      poster.post(*this);
    }
  };
  poster.post(Again{poster, calls});
  for (int turns = 0; turns < 10; ++turns) EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(calls, 10u);
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(APostedTask, ComesAfterTheHandlersOfWatchesAndTimers) {
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  std::string order;
  reactor().post([&] { order += "task"; });
  const Timer timer = reactor().after(0s, [&] { order += "timer "; });
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) { order += "watch "; });
  EXPECT_EQ(reactor().poll(), 3u);
  EXPECT_EQ(order, "watch timer task");
}

TEST_P(APostedTask, ThatStopsTheLoopLeavesTheOthersForLater) {
  std::string order;
  reactor().post([&] {
    order += 'a';
    reactor().stop();
  });
  reactor().post([&] { order += 'b'; });
  EXPECT_EQ(reactor().run(), 1u);
  reactor().post([&] { order += 'c'; });
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(order, "abc");
}

TEST_P(APostedTask, ThatThrowsIsDoneAndTheOthersComeLater) {
  std::string order;
  const auto capture = std::make_shared<int>();
  reactor().post([owned = capture] { throw std::runtime_error{"thrown"}; });
  reactor().post([&] { order += 'b'; });
  EXPECT_THROW(reactor().run_once(), std::runtime_error);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(order, "b");
}

TEST_P(APostedTask, IsOneOfManyEachOfWhichMayStopTheLoop) {
  // More than lie together in memory, and some posted while others are left.
  constexpr int tasks = 1000;
  std::vector<int> order;
  const auto task = [&](int number) {
    return [&, number] {
      order.push_back(number);
      reactor().stop();
    };
  };
  for (int i = 0; i < tasks; i += 2) reactor().post(task(i));
  for (int i = 0; i < tasks; i += 2) {
    EXPECT_EQ(reactor().run(), 1u);
    reactor().post(task(tasks + i));
  }
  for (int i = 0; i < tasks; i += 2) EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  std::vector<int> all;
  for (int i = 0; i < 2 * tasks; i += 2) all.push_back(i);
  EXPECT_EQ(order, all);
}

TEST_P(APostedTask, MayBeEmptyAndCallsNothing) {
  std::string order;
  reactor().post({});
  EXPECT_EQ(reactor().run_once(), 1u) << "the loop was woken for it all the same";
  reactor().post([&] { order += 'a'; });
  reactor().post(Handler<void>{});
  reactor().post([&] { order += 'b'; });
  EXPECT_EQ(reactor().run_once(), 3u);
  EXPECT_EQ(order, "ab");
}

TEST_P(APostedTask, MayBeMovedOnlyAndIsDestroyedWhenItHasBeenCalled) {
  auto owned = std::make_unique<std::shared_ptr<int>>(std::make_shared<int>(1));
  const std::weak_ptr<int> capture = *owned;
  bool there = false;
  reactor().post([&there, capture, owned = std::move(owned)] { there = !capture.expired(); });
  reactor().post([&] { EXPECT_TRUE(capture.expired()) << "the task before is gone by now"; });
  EXPECT_EQ(reactor().run_once(), 2u);
  EXPECT_TRUE(there);
}

TEST_P(APostedTask, IsDestroyedUncalledWithTheReactorAndMayPostOnItsWay) {
  struct PostsWhenDestroyed {
    Poster poster;
    std::shared_ptr<std::error_code> answer;
    PostsWhenDestroyed(Poster with, std::shared_ptr<std::error_code> to)
        : poster{std::move(with)}, answer{std::move(to)} {}
    PostsWhenDestroyed(PostsWhenDestroyed&&) = default;
    ~PostsWhenDestroyed() {
      if (answer) poster.post([] {}, *answer);
    }
    void operator()() const { ADD_FAILURE() << "called"; }
  };
  const auto answer = std::make_shared<std::error_code>();
  {
    Reactor other{make_contestant(backend())};
    other.post(PostsWhenDestroyed{other.poster(), answer});
  }
  EXPECT_EQ(*answer, Errc::reactor_closed);
}

TEST_P(APostedTask, IsRefusedWhenTheReactorIsGone) {
  Poster poster;
  std::error_code error;
  poster.post([] { ADD_FAILURE() << "called"; }, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  {
    Reactor other{make_contestant(backend())};
    poster = other.poster();
    poster.post([] {}, error);
    EXPECT_FALSE(error);
  }
  poster.post([] { ADD_FAILURE() << "called"; }, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  EXPECT_THROW(poster.post([] {}), std::system_error);
}

TEST_P(APostedTask, WakesALoopThatSleeps) {
  for (int i = 0; i < 200; ++i) {
    std::atomic<bool> called{false};
    Thread other{[&] { reactor().post([&] { called = true; }); }};
    EXPECT_EQ(reactor().run_once(), 1u);
    EXPECT_TRUE(called);
  }
}

TEST_P(APostedTask, IsNotLostWhateverTheThreadsDo) {
  // Each producer waits now and then until the loop has caught up, so that the loop falls asleep
  // again and again while others are about to post.
  constexpr int producers = 4;
  constexpr int tasks = 3000;
  std::vector<std::atomic<int>> last(producers);
  bool in_order = true;
  std::size_t called = 0;
  std::vector<Thread> threads;
  for (std::size_t producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&, producer, poster = reactor().poster()] {
      for (int i = 1; i <= tasks; ++i) {
        poster.post([&, producer, i] {
          in_order = in_order && last[producer] == i - 1;
          last[producer] = i;
        });
        while (i % 32 == 0 && last[producer] < i) std::this_thread::yield();
      }
    });
  }
  while (called < producers * tasks) called += reactor().run_once();
  EXPECT_TRUE(in_order);
  for (const std::atomic<int>& tasks_called : last) EXPECT_EQ(tasks_called, tasks);
}

TEST_P(APostedTask, GoesBackAndForthBetweenTwoLoops) {
  constexpr int rounds = 2000;
  Reactor other{make_contestant(backend())};
  int count = 0;
  struct Ball {
    Reactor& here;
    Reactor& there;
    int& count;
    void operator()() const {
      if (++count >= rounds) {
        here.stop();
        there.stop();
      } else {
        there.post(Ball{there, here, count});
      }
    }
  };
  Thread thread{[&] { other.run_forever(); }};
  reactor().post(Ball{reactor(), other, count});
  reactor().run_forever();
  thread.join();
  EXPECT_EQ(count, rounds);
}

/// Each wake-up lasts until what it was for has been done, and a little longer.
class SlowToWake : public support::ForwardingBackend {
 public:
  SlowToWake(std::unique_ptr<Backend> inner, Latch& done)
      : ForwardingBackend{std::move(inner)}, done_{done} {}

  void wake() noexcept override {
    ForwardingBackend::wake();
    done_.wait();
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    ForwardingBackend::wake();
  }

 private:
  Latch& done_;
};

TEST_P(APostedTask, IsCalledBeforeThePosterHasWokenTheLoopAndTheReactorGoesAfterThat) {
  for (int i = 0; i < 20; ++i) {
    Latch done{1};
    auto other =
        std::make_unique<Reactor>(std::make_unique<SlowToWake>(make_contestant(backend()), done));
    static_cast<void>(other->prepare());  // as if it slept: whoever posts now wakes it
    Thread thread{[&, to = other.get()] { to->post([&] { done.count_down(); }); }};
    while (!done.try_wait()) other->poll();
    other.reset();
  }
}

TEST_P(APostedTask, IsRefusedOrCalledButNeverLostWhileTheReactorGoes) {
  for (int i = 0; i < 50; ++i) {
    auto other = std::make_unique<Reactor>(make_contestant(backend()));
    Latch posting{1};
    Thread thread{[&, poster = other->poster()] {
      std::error_code error;
      while (!error) {
        poster.post([] {}, error);
        if (posting.try_wait()) continue;
        posting.count_down();
      }
      EXPECT_EQ(error, Errc::reactor_closed);
    }};
    posting.wait();
    other->poll();
    other.reset();
  }
}

TEST_P(APostedTask, WakesTheLoopOnceForMany) {
  // Posted before the loop sleeps: nobody is woken, and the turn does not wait.
  for (int i = 0; i < 1000; ++i) reactor().post([] {});
  EXPECT_EQ(reactor().run_once(), 1000u);
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_BACKEND(APostedTask);

}  // namespace
}  // namespace pollux::conformance
