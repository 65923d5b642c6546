// SPDX-License-Identifier: MIT
// A reactor inside another library's loop. Goal: what it tells, and when, is what it would tell by
// itself; the other loop goes on as before, and sleeps when there is nothing to do.
#include <atomic>
#include <csignal>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/contestants.hpp"
#include "conformance/support/pairs.hpp"
#include "conformance/support/recorder.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/thread.hpp"
#include "embed/host.hpp"

namespace pollux::embed {
namespace {

using namespace std::chrono_literals;
using namespace support;
using Clock = std::chrono::steady_clock;

bool has_native_handle(const std::string& backend) {
  std::error_code error;
  static_cast<void>(Reactor{backend}.native_handle(error));
  return !error;
}

std::vector<std::string_view> names(bool all) {
  std::vector<std::string_view> names;
  for (const Contestant& contestant : contestants()) {
    if (all || has_native_handle(contestant.name)) names.push_back(contestant.name);
  }
  return names;
}

std::string row_name(const testing::TestParamInfo<std::string_view>& info) {
  return std::string{host_name()}.append("_").append(info.param);
}

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

class Embedded : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    host_ = make_host();
    in_callback([] {});  // it opens descriptors of its own
    descriptors_before_ = open_descriptors();
    reactor_.emplace(GetParam());
    host().embed(reactor());
  }
  void TearDown() override {
    host().release();
    host().pass(0ms);
    reactor_.reset();
    EXPECT_EQ(open_descriptors(), descriptors_before_) << "descriptors were leaked, or closed";
  }

  Host& host() { return *host_; }
  Reactor& reactor() { return *reactor_; }

  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit = 5s) {
    const auto deadline = Clock::now() + limit;
    while (!done()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left <= 0ms) return false;
      ++passes_;
      host().pass(left);
    }
    return true;
  }
  void run_for(std::chrono::milliseconds duration) {
    run_until([] { return false; }, duration);
  }
  /// Has `f` called by the other library, while the reactor has nothing to do.
  void in_callback(std::function<void()> f) {
    bool called = false;
    host().call_after(1ms, [&] {
      f();
      called = true;
    });
    EXPECT_TRUE(run_until([&] { return called; }));
  }

  /// Whether all that `recorder` has ever heard is now exactly that.
  testing::AssertionResult delivers(const Recorder& recorder, std::string_view expected) {
    run_until([&] { return story(recorder.events()) == expected; });
    for (int i = 0; i < 4; ++i) host().pass(1ms);
    const std::string received = story(recorder.events());
    if (received == expected) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << "received \"" << received << "\" where \"" << expected << "\" was due";
  }

  /// The other loop has nothing to do, and does nothing: by its passes, by the reactor's turns, and
  /// by the processor's time.
  void expect_sleep() {
    run_for(10ms);
    const int passes = passes_;
    const auto turns = reactor().stats().turns;
    const auto before = cpu_time();
    run_for(300ms);
    EXPECT_LT(cpu_time() - before, 60ms) << "a processor was kept busy";
    EXPECT_LE(passes_ - passes, 5);
    EXPECT_LE(reactor().stats().turns - turns, 3u);
  }

 private:
  std::unique_ptr<Host> host_;
  std::optional<Reactor> reactor_;
  std::size_t descriptors_before_ = 0;
  int passes_ = 0;
};

// Lifecycle.

TEST_P(Embedded, ReportsBytesHalfCloseAndHangup) {
  Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t received = 0;
  local.on_event([&](const StreamEvent&) { received += drain(pair.local); });
  write_bytes(pair.peer, "request");
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "readable end_of_stream"));
  EXPECT_EQ(received, 7u);

  write_bytes(pair.local, "answer");
  Recorder peer{reactor(), pair.peer, Interest::readable};
  EXPECT_TRUE(delivers(peer, "readable"));
  EXPECT_EQ(drain(pair.peer), 6u);
  shutdown_write(pair.local);
  EXPECT_TRUE(delivers(local, "readable end_of_stream hangup"));
}

TEST_P(Embedded, ReportsACloseOnlyBehindTheLastByte) {
  Pair pair = make_pair(PairKind::unix_stream);
  Recorder local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(pair.local), 3u);
  EXPECT_TRUE(delivers(local, "readable end_of_stream hangup"));
}

TEST_P(Embedded, ReportsAReset) {
  Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  reset_connection(pair.peer);
  EXPECT_TRUE(delivers(local, "error hangup"));
  EXPECT_EQ(local.error(), std::errc::connection_reset);
}

// Timers.

TEST_P(Embedded, TimersFireInOrderAndNeverEarly) {
  std::vector<int> order;
  const auto start = Clock::now();
  const auto timer = [&](std::chrono::microseconds delay, int name) {
    return reactor().at(start + delay, [&order, start, delay, name] {  // however slow this is
      order.push_back(name);
      EXPECT_GE(Clock::now() - start, delay);
    });
  };
  const Timer timers[] = {timer(7ms, 3), timer(300us, 1), timer(2500us, 2), timer(7ms, 4)};
  EXPECT_TRUE(run_until([&] { return order.size() == 4; }));
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
}

TEST_P(Embedded, ARepeatingTimerGoesOn) {
  int ticks = 0;
  const auto start = Clock::now();
  const Timer timer = reactor().every(2ms, [&] { EXPECT_GE(Clock::now() - start, ++ticks * 2ms); });
  EXPECT_TRUE(run_until([&] { return ticks >= 10; }));
}

TEST_P(Embedded, ACallbackOfTheHostMovesTimers) {
  Clock::time_point fired{};
  bool due = false;
  Timer moved = reactor().after(1h, [&] { fired = Clock::now(); });
  Timer cancelled = reactor().after(30ms, [&] { due = true; });
  run_for(5ms);
  Clock::time_point deadline{};
  bool fired_before = false;
  in_callback([&] {
    cancelled.cancel();
    fired_before = due;
    deadline = Clock::now() + 2ms;
    moved.restart_at(deadline);
  });
  EXPECT_TRUE(run_until([&] { return fired != Clock::time_point{}; }));
  EXPECT_GE(fired, deadline);
  run_for(40ms);
  EXPECT_EQ(due, fired_before);
}

TEST_P(Embedded, ACallbackOfTheHostMakesATimerAndPosts) {
  std::vector<std::string> called;
  Timer timer;
  in_callback([&] {
    timer = reactor().after(1ms, [&] { called.push_back("timer"); });
    reactor().post([&] { called.push_back("task"); });
  });
  EXPECT_TRUE(run_until([&] { return called.size() == 2; }));
}

// Other threads.

TEST_P(Embedded, PostsFromAnotherThreadWakeTheHost) {
  constexpr int rounds = 1000;
  std::atomic<int> done{0};
  support::Thread other{[&] {
    for (int i = 0; i < rounds; ++i) {
      reactor().post([&] { ++done; });
      while (i % 2 == 0 && done <= i) std::this_thread::yield();  // the next finds it asleep
    }
  }};
  EXPECT_TRUE(run_until([&] { return done == rounds; }));
  if (done != rounds) done = rounds;
}

TEST_P(Embedded, PostsWakeTheHostAlsoAfterATurnOfTheReactorsOwn) {
  in_callback([&] { reactor().poll(); });
  bool done = false;
  support::Thread other{[&] { reactor().post([&] { done = true; }); }};
  EXPECT_TRUE(run_until([&] { return done; }));
}

// Changes from inside the other library's callbacks.

TEST_P(Embedded, ACallbackOfTheHostChangesInterest) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::none};
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, ""));
  in_callback([&] { local.watch.set_interest(Interest::readable); });
  EXPECT_TRUE(delivers(local, "readable"));
  in_callback([&] { local.watch.set_interest(Interest::none); });
  const std::size_t before = local.events().size();
  run_for(10ms);
  EXPECT_EQ(local.events().size(), before);
  expect_sleep();
  in_callback([&] { local.watch.set_interest(Interest::readable | Interest::writable); });
  EXPECT_TRUE(delivers(local, "readable writable"));
}

TEST_P(Embedded, ACallbackOfTheHostWatchesAndUnwatches) {
  const Pair pair = make_pair(PairKind::tcp4);
  std::optional<Recorder> local;
  write_bytes(pair.peer, "abc");
  in_callback([&] { local.emplace(reactor(), pair.local, Interest::readable); });
  EXPECT_TRUE(delivers(*local, "readable"));
  in_callback([&] { local.reset(); });
  expect_sleep();
}

// Fairness.

TEST_P(Embedded, NothingIsStarvedByAReactorThatAlwaysHasSomethingToDo) {
  const Pair busy = make_pair(PairKind::tcp4);
  const Recorder always{reactor(), busy.local, Interest::writable};
  int ticks = 0;
  const Timer timer = reactor().every(1ms, [&] { ++ticks; });
  int callbacks = 0;
  std::function<void()> again = [&] {
    if (++callbacks < 20) host().call_after(1ms, again);
  };
  again();
  EXPECT_TRUE(run_until([&] { return callbacks == 20 && ticks >= 20; }));
  EXPECT_GT(always.events().size(), 20u);
}

TEST_P(Embedded, NothingIsStarvedByAHostThatAlwaysHasSomethingToDo) {
  int passes = 0;
  bool go_on = true;
  host().call_always([&] {
    ++passes;
    return go_on;
  });
  const Pair pair = make_pair(PairKind::tcp4);
  int rounds = 0;
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    drain(pair.local);
    ++rounds;
    write_bytes(pair.peer, "again");
  });
  write_bytes(pair.peer, "first");
  int ticks = 0;
  const Timer timer = reactor().every(1ms, [&] { ++ticks; });
  bool posted = false;
  support::Thread other{[&] { reactor().post([&] { posted = true; }); }};
  EXPECT_TRUE(run_until([&] { return rounds >= 50 && ticks >= 20 && posted; }));
  EXPECT_GT(passes, 20);
  go_on = false;
  host().pass(1ms);
  host().pass(1ms);
}

// Sleep.

TEST_P(Embedded, TheHostSleepsWithNothingToDo) {
  expect_sleep();
}

TEST_P(Embedded, TheHostSleepsBesideStreamsInEveryState) {
  Pair half_closed = make_pair(PairKind::tcp4);
  Pair paused = make_pair(PairKind::unix_stream);
  Pair broken = make_pair(PairKind::tcp4);
  const Recorder half{reactor(), half_closed.local, Interest::readable};
  const Recorder held{reactor(), paused.local, Interest::none};
  const Recorder reset{reactor(), broken.local, Interest::readable};
  const Timer timer = reactor().after(1h, [] {});
  shutdown_write(half_closed.peer);
  write_bytes(paused.peer, "unread");
  paused.peer.close();
  reset_connection(broken.peer);
  EXPECT_TRUE(delivers(half, "end_of_stream"));
  EXPECT_TRUE(delivers(reset, "error hangup"));
  expect_sleep();
}

TEST_P(Embedded, TheHostSleepsAgainAfterItWasWoken) {
  bool done = false;
  reactor().post([&] { done = true; });
  EXPECT_TRUE(run_until([&] { return done; }));
  reactor().wake();
  reactor().stop();
  expect_sleep();
  Timer put_off = reactor().after(20ms, [] {});
  for (int i = 0; i < 10; ++i) in_callback([&] { put_off.restart(); });
  put_off.cancel();
  expect_sleep();
}

// Exceptions.

TEST_P(Embedded, WhatAHandlerThrowsReachesTheOwnerAndAllGoesOn) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    drain(pair.local);
    throw std::domain_error{"thrown by a handler"};
  });
  const Timer timer = reactor().after(1ms, [] { throw std::range_error{"thrown by a timer"}; });
  EXPECT_THROW(run_for(5s), std::range_error);
  for (std::size_t i = 1; i <= 3; ++i) {
    write_bytes(pair.peer, "abc");
    EXPECT_THROW(run_for(5s), std::domain_error);
    EXPECT_EQ(local.events().size(), i);
  }
  shutdown_write(pair.peer);
  EXPECT_THROW(run_for(5s), std::domain_error);
  expect_sleep();
  EXPECT_EQ(story(local.events()), "readable end_of_stream");
}

TEST_P(Embedded, WhatHandlersThrowIsTakenOneByOneWhileTheLoopRuns) {
  std::vector<std::string> caught;
  host().on_exception([&](const std::exception_ptr& exception) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::runtime_error& error) {
      caught.emplace_back(error.what());
    }
  });
  for (const char* what : {"a", "b", "c"})
    reactor().post([what] { throw std::runtime_error{what}; });
  EXPECT_TRUE(run_until([&] { return caught.size() == 3; }));
  EXPECT_EQ(caught, (std::vector<std::string>{"a", "b", "c"}));
}

// The end of the adapter.

TEST_P(Embedded, AHandlerMayDestroyTheAdapter) {
  const Pair pairs[] = {make_pair(PairKind::tcp4), make_pair(PairKind::tcp4)};
  Recorder one{reactor(), pairs[0].local, Interest::readable};
  Recorder other{reactor(), pairs[1].local, Interest::readable};
  for (Recorder* recorder : {&one, &other})
    recorder->on_event([&](const StreamEvent&) { host().release(); });
  write_bytes(pairs[0].peer, "abc");
  write_bytes(pairs[1].peer, "abc");
  EXPECT_TRUE(run_until([&] { return one.events().size() + other.events().size() > 0; }));
  run_for(5ms);
  EXPECT_EQ(one.events_until("readable"), "readable") << "by the reactor itself";
  EXPECT_EQ(other.events_until("readable"), "readable");
}

TEST_P(Embedded, ATimerATaskOrAnExceptionMayDestroyTheAdapter) {
  bool done = false;
  const Timer timer = reactor().after(1ms, [&] {
    host().release();
    done = true;
  });
  EXPECT_TRUE(run_until([&] { return std::exchange(done, false); }));
  host().embed(reactor());
  reactor().post([&] {
    host().release();
    done = true;
  });
  EXPECT_TRUE(run_until([&] { return std::exchange(done, false); }));
  host().embed(reactor());
  host().on_exception([&](const std::exception_ptr&) {
    host().release();
    done = true;
  });
  reactor().post([] { throw std::runtime_error{"end"}; });
  EXPECT_TRUE(run_until([&] { return done; }));
  run_for(5ms);
}

TEST_P(Embedded, WithoutTheAdapterTheReactorIsAsBefore) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::none};
  int ticks = 0;
  Timer timer = reactor().every(1ms, [&] { ++ticks; });
  EXPECT_TRUE(run_until([&] { return ticks > 2; }));
  host().release();
  local.watch.set_interest(Interest::readable);
  write_bytes(pair.peer, "abc");
  const int before = ticks;
  run_for(10ms);
  EXPECT_EQ(ticks, before);
  EXPECT_TRUE(local.events().empty());
  EXPECT_EQ(local.events_until("readable"), "readable");

  bool posted = false;
  support::Thread other{[&] { reactor().post([&] { posted = true; }); }};
  EXPECT_TRUE(support::run_until(reactor(), [&] { return posted && ticks > before; }));
  host().embed(reactor());
  EXPECT_EQ(drain(pair.local), 3u);
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "readable end_of_stream"));
}

// What else happens.

TEST_P(Embedded, StopEndsTheTurnAndNotTheHost) {
  const Pair pairs[] = {make_pair(PairKind::tcp4), make_pair(PairKind::tcp4)};
  Recorder one{reactor(), pairs[0].local, Interest::readable};
  Recorder other{reactor(), pairs[1].local, Interest::readable};
  const auto stop = [&](const Handle& handle) {
    EXPECT_EQ(drain(handle), 3u);
    reactor().stop();
  };
  one.on_event([&](const StreamEvent&) { stop(pairs[0].local); });
  other.on_event([&](const StreamEvent&) { stop(pairs[1].local); });
  write_bytes(pairs[0].peer, "abc");
  write_bytes(pairs[1].peer, "abc");
  EXPECT_TRUE(delivers(one, "readable"));
  EXPECT_TRUE(delivers(other, "readable"));
  EXPECT_EQ(one.events().size() + other.events().size(), 2u);
}

TEST_P(Embedded, AHandlerMayRunTheHost) {
  if (!host().can_nest()) return;
  const Pair pairs[] = {make_pair(PairKind::tcp4), make_pair(PairKind::tcp4)};
  Recorder other{reactor(), pairs[1].local, Interest::readable};
  Recorder one{reactor(), pairs[0].local, Interest::readable};
  int passes = 0;
  bool inside = false;
  one.on_event([&](const StreamEvent&) {
    inside = true;
    bool due = false;
    const std::size_t before = other.events().size();
    write_bytes(pairs[1].peer, "abc");
    host().call_after(100ms, [&] { due = true; });
    EXPECT_TRUE(run_until([&] { return ++passes, due; }));
    EXPECT_EQ(other.events().size(), before) << "two handlers at once";
    drain(pairs[0].local);
    inside = false;
  });
  write_bytes(pairs[0].peer, "abc");
  EXPECT_TRUE(delivers(other, "readable"));
  EXPECT_FALSE(inside);
  EXPECT_LT(passes, 10) << "the inner loop did not sleep";
}

/// Makes the reactor build its set anew, twice, so that the new handle may well have the number of
/// the first: a number that is closed under its watch comes back, with the same file.
void rebuild_twice(Reactor& reactor) {
  const auto before = reactor.stats().rebuilds;
  Pair pair = make_pair(PairKind::tcp4);
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  for (int i = 0; i < 2; ++i) {
    StreamWatch watch = reactor.watch_stream(number, Interest::readable, [](const auto&) {});
    pair.local.close();
    watch.reset();
    pair.local = Handle{::fcntl(copy.get(), F_DUPFD_CLOEXEC, number)};
    ASSERT_EQ(pair.local.get(), number);
  }
  const StreamWatch watch = reactor.watch_stream(number, Interest::readable, [](const auto&) {});
  EXPECT_EQ(reactor.stats().rebuilds - before, 2u);
}

TEST_P(Embedded, TheHostFollowsTheNativeHandle) {
  Pair pair = make_pair(PairKind::tcp4);
  const Recorder local{reactor(), pair.local, Interest::readable};
  run_for(5ms);
  in_callback([&] { rebuild_twice(reactor()); });
  run_for(5ms);
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  bool posted = false;
  support::Thread other{[&] { reactor().post([&] { posted = true; }); }};
  EXPECT_TRUE(run_until([&] { return posted; }));
  reactor().post([&] { rebuild_twice(reactor()); });
  run_for(5ms);
  pair.peer.close();
  shutdown_write(pair.local);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
  expect_sleep();
}

TEST_P(Embedded, TheHostOfAForkedChildFollowsTheReactor) {
  const Pair pair = make_pair(PairKind::tcp4);
  Recorder local{reactor(), pair.local, Interest::readable};
  Timer timer = reactor().after(20ms, [] {});
  run_for(5ms);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    host().after_fork();
    reactor().after_fork();
    bool posted = false;
    write_bytes(pair.peer, "abc");
    reactor().post([&] { posted = true; });
    const bool received =
        run_until([&] { return posted && !timer.armed() && !local.events().empty(); });
    ::_exit(received ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(pair.local), 3u);
  shutdown_write(pair.peer);
  EXPECT_TRUE(delivers(local, "readable end_of_stream"));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Embedded);
INSTANTIATE_TEST_SUITE_P(, Embedded, testing::ValuesIn(names(false)), row_name);

class Embedding : public testing::TestWithParam<std::string_view> {};

TEST_P(Embedding, IsRefusedWhereTheBackendHasNoHandle) {
  const auto host = make_host();
  Reactor reactor{GetParam()};
  std::error_code expected;
  static_cast<void>(reactor.native_handle(expected));
  std::error_code error;
  try {
    host->embed(reactor);
  } catch (const std::system_error& refused) {
    error = refused.code();
  }
  EXPECT_EQ(error, expected);
  if (expected) {
    EXPECT_EQ(error, std::errc::operation_not_supported);
  }
  host->release();
  EXPECT_EQ(reactor.poll(), 0u);
}

INSTANTIATE_TEST_SUITE_P(, Embedding, testing::ValuesIn(names(true)), row_name);

}  // namespace
}  // namespace pollux::embed
