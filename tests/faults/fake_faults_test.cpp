// SPDX-License-Identifier: MIT
// Every call that the core makes of a backend fails, each once and three times in a row, with every
// error that a kernel may have for it, while a story goes on. Goal: nothing is lost and nothing
// comes twice; an error is delivered where somebody asked, and made good everywhere else. And what
// a wait can be too small or too busy for.
#include <algorithm>
#include <atomic>
#include <functional>
#include <ostream>
#include <tuple>

#include <gtest/gtest.h>
#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"
#include "conformance/support/thread.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

/// A story about readiness and streams, told by an application that tries again what fails. Each
/// handler takes what it is told of, so that all of it is told once.
class Story {
 public:
  Story() = default;
  Story(Operation failing, std::errc error, int nth, int times) {
    on_.fake.fail(failing, error, nth, times);
  }

  void play() {
    play_readiness();
    play_a_stream();
    play_an_early_notice();
    play_a_stale_registration();
    play_a_second_watch();
    expect_wake();
    settle();
  }

  const Log& received() const { return received_; }
  /// The errors that were reported, by what call.
  const std::vector<std::pair<std::string, std::error_code>>& errors() const { return errors_; }
  int failures() const { return on_.fake.failures(); }

 private:
  static constexpr NativeHandle plain = 1000;
  static constexpr NativeHandle passing = 1001;

  void play_readiness() {
    watch(plain_, plain);
    happens(plain, RawReady::in, "1000 readable");
    plain_.set_interest(Interest::readable | Interest::writable);
    happens(plain, RawReady::out, "1000 writable");
    plain_.set_interest(Interest::none);
    settle();
    on_.fake.set_ready(plain, RawReady::in | RawReady::hup);
    settle();
    insist("set_interest", [&](auto& error) { plain_.set_interest(Interest::readable, error); });
    expect("1000 readable");
  }

  void play_a_stream() {
    Pair pair = make_pair(cheapest_pair_kind());
    StreamWatch stream;
    watch(stream, pair);
    write_bytes(pair.peer, "x");
    happens(pair.local.get(), RawReady::in, "readable");
    stream.set_interest(Interest::none);
    settle();
    write_bytes(pair.peer, "x");
    pair.peer.close();
    on_.fake.set_ready(pair.local.get(), RawReady::in | RawReady::rdhup | RawReady::hup);
    settle();  // held: both directions are over, and a byte is unread
    insist("set_interest", [&](auto& error) { stream.set_interest(Interest::readable, error); });
    expect("readable");
    on_.fake.set_ready(pair.local.get(), RawReady::in | RawReady::rdhup | RawReady::hup);
    expect("end_of_stream hangup");
    settle();
    EXPECT_EQ(on_.fake.interest(pair.local.get()), RawInterest::none) << "or the loop would spin";
  }

  void play_an_early_notice() {
    const Pair pair = make_pair(cheapest_pair_kind());
    StreamWatch stream;
    watch(stream, pair);
    on_.fake.set_ready(pair.local.get(), RawReady::err);  // and no failure behind it
    settle();
    write_bytes(pair.peer, "x");
    happens(pair.local.get(), RawReady::in | RawReady::err, "readable");
  }

  void play_a_stale_registration() {
    Watch closed;
    watch(closed, passing);
    on_.fake.set_ready(passing, RawReady::in);
    on_.fake.close_but_keep_duplicate(passing);
    closed.reset();
    settle();
    happens(plain, RawReady::in, "1000 readable");
    EXPECT_GE(on_.fake.resets(), 1);
  }

  void play_a_second_watch() {
    plain_.reset();
    watch(plain_, plain);
    happens(plain, RawReady::in, "1000 readable");
  }

  void expect_wake() {
    on_.reactor.wake();
    const auto start = FakeClock::now();
    insist("run", [&](auto& error) { on_.reactor.run_once(1h, error); });
    received_.push_back(FakeClock::now() - start < 1h ? "woken" : "not woken");
  }

  void watch(Watch& watch, NativeHandle handle) {
    insist("watch", [&](auto& error) {
      watch = on_.reactor.watch(
          handle, Interest::readable,
          [this, handle](Readiness readiness) {
            on_.fake.set_ready(handle, RawReady::none);
            received_.push_back(std::to_string(handle) +
                                (readiness.readable() ? " readable" : " writable"));
          },
          error);
    });
  }

  void watch(StreamWatch& watch, const Pair& pair) {
    insist("watch", [&](auto& error) {
      watch = on_.reactor.watch_stream(
          pair.local.get(), Interest::readable,
          [&](const StreamEvent& event) {
            if (event.readable()) {
              read_bytes(pair.local);
              on_.fake.set_ready(pair.local.get(), RawReady::none);
            }
            received_.push_back(to_string(event));
          },
          error);
    });
  }

  void happens(NativeHandle handle, RawReady ready, const std::string& event) {
    on_.fake.set_ready(handle, ready);
    expect(event);
  }

  /// Until that is heard, as the next thing.
  void expect(const std::string& event) {
    const std::size_t before = received_.size();
    for (int turns = 0; turns < 200 && received_.size() == before; ++turns) turn();
    EXPECT_EQ(received_.size(), before + 1) << event;
    EXPECT_EQ(received_.back(), event);
  }

  void settle() {
    for (int i = 0; i < 10; ++i) turn();
  }

  /// Time passes, whatever the backend has to report at once: what has failed is tried again.
  void turn() {
    insist("run", [&](auto& error) { on_.reactor.poll(error); });
    FakeClock::advance(1ms);
  }

  void insist(const char* what, const std::function<void(std::error_code&)>& call) {
    for (int tries = 0; tries < 10; ++tries) {
      std::error_code error;
      call(error);
      if (!error) return;
      errors_.emplace_back(what, error);
    }
    ADD_FAILURE() << what << " goes on failing";
  }

  FakeReactor on_;
  Watch plain_;
  Log received_;
  std::vector<std::pair<std::string, std::error_code>> errors_;
};

struct Fault {
  const char* name;
  Operation operation;
  std::vector<std::string> reported_by;  ///< the only calls that report it
  bool reported_always;
};

const Fault faults[] = {
    {"AnAddition", Operation::add, {"watch", "set_interest"}, false},
    {"AChange", Operation::change, {}, false},
    {"ARemoval", Operation::remove, {}, false},
    {"AQuestion", Operation::ask, {}, false},
    {"AWait", Operation::wait, {"run"}, true},
    {"AReset", Operation::reset, {"run", "watch"}, true},
};

void PrintTo(const Fault& fault, std::ostream* to) {
  *to << fault.name;
}

constexpr std::pair<const char*, std::errc> errors[] = {
    {"ForWantOfMemory", std::errc::not_enough_memory},
    {"ForWantOfRoom", std::errc::no_space_on_device},
    {"ForWantOfDescriptors", std::errc::too_many_files_open},
    {"Interrupted", std::errc::interrupted},
};

using Row = std::tuple<Fault, std::pair<const char*, std::errc>>;

class EachCall : public testing::TestWithParam<Row> {};

TEST_P(EachCall, ThatFailsLeavesTheStoryWhatItIs) {
  const auto& [fault, error] = GetParam();
  Story undisturbed;
  undisturbed.play();
  ASSERT_EQ(undisturbed.received().back(), "woken");

  std::size_t delivered = 0;
  int cases = 0;
  for (const int times : {1, 3}) {
    for (int nth = 1;; ++nth) {
      SCOPED_TRACE(testing::Message() << "call " << nth << ", " << times << " in a row");
      Story story{fault.operation, error.second, nth, times};
      story.play();
      if (story.failures() == 0) break;  // there are no more of them
      EXPECT_EQ(story.received(), undisturbed.received());
      for (const auto& [what, reported] : story.errors()) {
        EXPECT_EQ(reported, error.second) << what;
        EXPECT_NE(std::ranges::find(fault.reported_by, what), fault.reported_by.end()) << what;
      }
      EXPECT_LE(story.errors().size(), static_cast<std::size_t>(story.failures()));
      if (fault.reported_always) {
        EXPECT_EQ(story.errors().size(), static_cast<std::size_t>(story.failures()));
      }
      delivered += story.errors().size();
      ++cases;
    }
  }
  EXPECT_GT(cases, 0);
  EXPECT_EQ(delivered > 0, !fault.reported_by.empty());
}

INSTANTIATE_TEST_SUITE_P(, EachCall,
                         testing::Combine(testing::ValuesIn(faults), testing::ValuesIn(errors)),
                         [](const auto& row) {
                           return std::string{std::get<0>(row.param).name} +
                                  std::get<1>(row.param).first;
                         });

/// A wait comes back with nothing, or has room for so many reports.
class AFullBuffer : public testing::TestWithParam<std::uint32_t> {};

TEST_P(AFullBuffer, HoldsNobodyBack) {
  constexpr NativeHandle first = 1000;
  constexpr int watched = 6;
  FakeReactor on{ReactorOptions{.event_batch = GetParam()}};
  std::vector<Watch> watches;
  std::vector<int> received(watched);
  for (int i = 0; i < watched; ++i) {
    watches.push_back(
        on.reactor.watch(first + static_cast<NativeHandle>(i), Interest::readable,
                         [&received, i](auto) { ++received[static_cast<std::size_t>(i)]; }));
    on.fake.set_ready(first + static_cast<NativeHandle>(i), RawReady::in);
  }
  const auto turns = (watched + GetParam() - 1) / GetParam();
  for (std::uint32_t i = 0; i < turns; ++i) {
    on.fake.interrupt();
    EXPECT_EQ(on.reactor.poll(), 0u);
    EXPECT_LE(on.reactor.poll(), GetParam());
  }
  for (const int times : received) EXPECT_GE(times, 1) << "each is ready all the time";
}

TEST_P(AFullBuffer, OfStaleReportsIsClearedAway) {
  FakeReactor on{ReactorOptions{.event_batch = GetParam()}};
  Log log;
  const Watch watch = on.watch(1000, Interest::readable, log, "called");
  on.fake.set_ready(1000, RawReady::in);
  for (std::uint32_t i = 0; i < GetParam(); ++i) on.fake.report({77 + i, 3}, RawReady::in);
  on.reactor.poll();
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(on.fake.resets(), 1);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"called"});
}

INSTANTIATE_TEST_SUITE_P(, AFullBuffer, testing::Values(1, 2, 5, 6, 7),
                         testing::PrintToStringParamName());

TEST(AStormOfWakes, LosesNoneAndIsFollowedByRest) {
  constexpr int rounds = 5000;
  FakeReactor on;
  std::atomic<int> produced{0};
  int seen = 0;
  {
    std::vector<support::Thread> others;
    for (int i = 0; i < 4; ++i) {
      others.emplace_back([&] {
        for (int round = 0; round < rounds; ++round) {
          ++produced;
          on.reactor.wake();
        }
      });
    }
    while (seen < 2 * rounds) {
      EXPECT_EQ(on.reactor.run_once(1ms), 0u);
      seen = produced;
    }
  }
  if (seen < produced) {
    const auto start = FakeClock::now();
    on.reactor.run_once(1ms);
    EXPECT_EQ(FakeClock::now(), start) << "what came last has woken the loop";
  }
  on.reactor.run_once(0ms);  // a wake whose work was seen already may be left
  on.fake.forget_waits();
  on.reactor.run_once(10ms);
  EXPECT_EQ(on.fake.waits().size(), 1u);
}

}  // namespace

}  // namespace pollux::support
