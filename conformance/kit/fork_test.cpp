// SPDX-License-Identifier: MIT
// Forks: the child has a reactor of its own after after_fork(), is told so before, and never
// disturbs its parent, with or without fork handlers. Each test really forks; what the child finds
// is its exit status.
#include <cstddef>
#include <latch>
#include <memory>
#include <string>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/forwarding_backend.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/processes.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AForkedReactor : public OnEachBackend {
 protected:
  Pair pair = make_pair(PairKind::unix_stream);
};

TEST_P(AForkedReactor, SaysSoUntilItIsDelivered) {
  const Timer timer = reactor().after(0s, [] {});
  Recorder local{reactor(), pair.local, Interest::none};
  EXPECT_TRUE(in_each_child([&] {
    std::error_code error;
    bool said = reactor().run_once(error) == 0 && error == Errc::forked;
    said = said && reactor().poll(error) == 0 && error == Errc::forked;
    said = said && !reactor().check(error) && error == Errc::forked;
    const Watch watch = reactor().watch(
        pair.local.get(), Interest::readable, [](Readiness) {}, error);
    said = said && !watch && error == Errc::forked;
    local.watch.set_interest(Interest::readable, error);
    said = said && error == Errc::forked;
    reactor().after_fork(error);
    return said && !error && reactor().run_once() == 1;
  }));
  EXPECT_EQ(reactor().run_once(), 1u);
  local.watch.set_interest(Interest::readable);  // nobody else has
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(AForkedReactor, SaysSoIfItCannotHaveWhatItNeeds) {
  for (std::size_t few = 0; few < 6; ++few) {
    EXPECT_TRUE(in_each_child([&] {
      std::error_code error;
      {
        const support::NoDescriptorLeft but{few};
        reactor().after_fork(error);
      }
      if (error) reactor().after_fork(error);
      return !error;
    })) << few;
  }
}

TEST_P(AForkedReactor, GoesOnWithTheSameWatchesTimersAndTasks) {
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t calls = 0;
  const Timer timer = reactor().after(0s, [&] { ++calls; });
  reactor().post([&] { ++calls; });
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    write_bytes(pair.peer, "abc");
    return local.events_until("readable") == "readable" && calls == 2;
  }));
  // The child has not read what it wrote; here everything is yet to come, too.
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(calls, 2u);
}

TEST_P(AForkedReactor, LeavesItsParentsSetAlone) {
  Recorder local{reactor(), pair.local, Interest::readable};
  const Pair second = make_pair(PairKind::tcp4);
  Recorder other{reactor(), second.local, Interest::readable};
  EXPECT_TRUE(in_each_child([&] {
    local.watch.reset();  // before it was told
    reactor().after_fork();
    other.watch.reset();  // and after
    Recorder again{reactor(), pair.local, Interest::writable};
    return again.events_until("writable") == "writable";
  }));
  write_bytes(pair.peer, "abc");
  write_bytes(second.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(delivers(other, "readable"));
}

TEST_P(AForkedReactor, MayBeDestroyedWithoutAfterFork) {
  auto own = std::make_unique<Reactor>(make_contestant(backend()));
  std::size_t calls = 0;
  Watch watch = own->watch(pair.local.get(), Interest::readable, [&](Readiness) { ++calls; });
  EXPECT_TRUE(in_each_child([&] {
    watch.reset();
    own.reset();
    return true;
  }));
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(own->run_once(5s), 1u);
  EXPECT_EQ(calls, 1u);
}

TEST_P(AForkedReactor, LeavesAloneWhatItsParentKnowsOfWhoseNumberIsWhose) {
  // No socket, and on Linux of an inode that others have too.
  std::error_code error;
  SystemCalls calls_made;
  const WakeHandle own{calls_made, error};
  const auto no_handler = [](Readiness) {};
  Watch watch = reactor().watch(own.handle(), Interest::readable, no_handler);
  const auto is_known = [&] {
    static_cast<void>(reactor().watch(own.handle(), Interest::readable, no_handler, error));
    return error == std::errc::file_exists;
  };
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    const bool known = is_known();
    watch.reset();
    return known;
  }));
  EXPECT_TRUE(is_known());
  auto second = std::make_unique<Reactor>(make_contestant(backend()));
  Watch other = second->watch(own.handle(), Interest::readable, no_handler);
  EXPECT_TRUE(in_each_child([&] {
    second.reset();
    return true;
  }));
  static_cast<void>(second->watch(own.handle(), Interest::readable, no_handler, error));
  EXPECT_EQ(error, std::errc::file_exists);
}

/// Wakes the loop, and goes on to do so for as long as the test wants.
class LongWake : public support::ForwardingBackend {
 public:
  LongWake(std::unique_ptr<Backend> inner, std::latch& end)
      : ForwardingBackend{std::move(inner)}, end_{end} {}

  void wake() noexcept override {
    ForwardingBackend::wake();
    end_.wait();
  }

 private:
  std::latch& end_;
};

TEST_P(AForkedReactor, MayBeDestroyedThoughWhoWasWakingItIsNotThere) {
  std::latch end{1};
  auto own = std::make_unique<Reactor>(std::make_unique<LongWake>(make_contestant(backend()), end));
  static_cast<void>(own->prepare());  // as if it slept: whoever posts now wakes it
  const Thread thread{[to = own.get()] { to->post([] {}); }};
  std::size_t calls = 0;
  while (calls == 0) calls = own->poll();
  EXPECT_TRUE(in_each_child([&] {
    own.reset();
    return true;
  }));
  end.count_down();
}

TEST_P(AForkedReactor, IsWokenByItself) {
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    reactor().wake();
    return reactor().run_once(5s) == 0;
  }));
  EXPECT_TRUE(sleeps()) << "the child's wake has woken its parent";
}

TEST_P(AForkedReactor, HasDeadlinesOfItsOwn) {
  // Both are busy while a timer is armed: a loop may then have the kernel tell it the time.
  const auto be_busy = [&] {
    const Watch watch = reactor().watch(pair.local.get(), Interest::writable, [](Readiness) {});
    for (int i = 0; i < 4; ++i) reactor().run_once(5s);
  };
  std::size_t calls = 0;
  const Timer timer = reactor().after(200ms, [&] { ++calls; });
  be_busy();
  ASSERT_EQ(calls, 0u) << "it has taken this machine longer";
  EXPECT_TRUE(in_a_child([&] {
    reactor().after_fork();
    reactor().run_once(5s);
    const Timer later = reactor().after(1h, [] {});
    be_busy();
    return calls == 1;
  }));
  EXPECT_EQ(reactor().run_once(5s), 1u) << "the child has moved its parent's deadline";
  EXPECT_EQ(calls, 1u);
}

TEST_P(AForkedReactor, DoesNotReceiveWhatItsParentIsDelivered) {
  Recorder local{reactor(), pair.local, Interest::none};
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    local.watch.set_interest(Interest::writable);
    return local.events_until("writable") == "writable";
  }));
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(AForkedReactor, MayForkAgain) {
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(in_each_child([&] {
    reactor().after_fork();
    const auto grandchild = in_each_child([&] {
      std::error_code error;
      reactor().poll(error);
      const bool said = error == Errc::forked;
      reactor().after_fork();
      write_bytes(pair.peer, "abc");
      return said && local.events_until("readable") == "readable";
    });
    return grandchild && local.events_until("readable") == "readable";
  }));
}

TEST_P(AForkedReactor, IsNotOfAChildThatSharesItsParentsMemory) {
  POLLUX_NEEDS("children that share memory", in_a_child_that_shares([] { return true; }));
  Recorder local{reactor(), pair.local, Interest::readable};
  const auto rebuilds = reactor().stats().rebuilds;
  EXPECT_TRUE(in_a_child_that_shares([&] {
    std::error_code error;
    reactor().after_fork(error);  // which is of no use there
    return !error && reactor().stats().rebuilds == rebuilds;
  }));
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(AForkedReactor, ThatWasNotForkedIsLeftAsItIs) {
  const auto rebuilds = reactor().stats().rebuilds;
  reactor().after_fork();
  EXPECT_EQ(reactor().stats().rebuilds, rebuilds);
  std::error_code error;
  reactor().post([&] { reactor().after_fork(error); });
  reactor().poll();
  EXPECT_EQ(error, Errc::already_running);
}

POLLUX_ON_EACH_BACKEND(AForkedReactor);

}  // namespace
}  // namespace pollux::conformance
