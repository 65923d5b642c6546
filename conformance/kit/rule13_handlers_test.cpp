// SPDX-License-Identifier: MIT
// Rule 13: handlers may do anything: change interest, unwatch or destroy their own watch or any
// other, close, open, watch, stop; inside a turn, a watch that was unwatched receives nothing more.
// Goal: each of these from inside a handler, with another event fetched in the same turn.
#include <algorithm>
#include <chrono>
#include <memory>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class Handlers : public OnEachKind {
 protected:
  /// Two streams with an event each, both fetched by one wait.
  void SetUp() override {
    OnEachKind::SetUp();
    for (std::size_t i : {0u, 1u}) pairs_[i] = make_pair(kind());
  }
  void TearDown() override {
    for (Pair& pair : pairs_) pair = {};
    OnEachKind::TearDown();
  }
  void bytes_for_both() {
    for (Pair& pair : pairs_) write_bytes(pair.peer, "abc");
  }

  /// Whichever hears first reads both streams empty. Looked at or told by the kernel, what was
  /// fetched for the other is from before.
  void drain_both_on_readable(Recorder& first, Recorder& second) {
    for (Recorder* recorder : {&first, &second}) {
      recorder->on_event([this](const StreamEvent& event) {
        if (!event.readable()) return;
        for (Pair& pair : pairs_) drain(pair.local);
      });
    }
  }

  Pair pairs_[2];
};

TEST_P(Handlers, MayEndTheirOwnWatch) {
  Recorder local{reactor(), pairs_[0].local, Interest::readable};
  local.on_event([&](const StreamEvent&) { local.watch.reset(); });
  bytes_for_both();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(local.events().size(), 1u);
  EXPECT_TRUE(sleeps());
}

TEST_P(Handlers, MayEndTheOtherWatchWhichThenReceivesNothing) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  first.on_event([&](const StreamEvent&) { second.watch.reset(); });
  second.on_event([&](const StreamEvent&) { first.watch.reset(); });
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(first.events().size() + second.events().size(), 1u);
  EXPECT_NE(static_cast<bool>(first.watch), static_cast<bool>(second.watch));
}

TEST_P(Handlers, MayEndAllWatches) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  const auto end_all = [&](const StreamEvent&) {
    first.watch.reset();
    second.watch.reset();
  };
  first.on_event(end_all);
  second.on_event(end_all);
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(Handlers, MayPauseTheOtherWatchWhichThenReceivesNothing) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  first.on_event([&](const StreamEvent&) { second.watch.set_interest(Interest::none); });
  second.on_event([&](const StreamEvent&) { first.watch.set_interest(Interest::none); });
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(first.events().size() + second.events().size(), 1u);
  Recorder& paused = first.events().empty() ? first : second;
  EXPECT_TRUE(delivers_nothing(paused));
  first.on_event({});
  second.on_event({});
  paused.watch.set_interest(Interest::readable);
  EXPECT_TRUE(delivers(paused, "readable"));
}

TEST_P(Handlers, MayReadTheOtherStreamEmptyOfWhichWasFetchedThatItIsReadable) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  drain_both_on_readable(first, second);
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 2u);
  EXPECT_TRUE(delivers(first, "readable"));
  EXPECT_TRUE(delivers(second, "readable"));
}

TEST_P(Handlers, MayUnwatchAndCloseTheirOwnDescriptor) {
  Recorder local{reactor(), pairs_[0].local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    local.watch.reset();
    pairs_[0].local.close();
  });
  bytes_for_both();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(sleeps());
}

TEST_P(Handlers, MayCloseTheirDescriptorAndEndTheWatchLater) {
  Recorder local{reactor(), pairs_[0].local, Interest::readable};
  local.on_event([&](const StreamEvent&) { pairs_[0].local.close(); });
  bytes_for_both();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(local.events().size(), 1u);
  EXPECT_TRUE(sleeps());
  local.watch.reset();
  EXPECT_TRUE(sleeps());
}

TEST_P(Handlers, MayWatchAndTheNewWatchReceivesFromTheNextTurnOn) {
  std::optional<Recorder> second;
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  first.on_event([&](const StreamEvent&) {
    drain(pairs_[0].local);
    second.emplace(reactor(), pairs_[1].local, Interest::readable);
  });
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->events().empty());
  EXPECT_TRUE(delivers(*second, "readable"));
}

TEST_P(Handlers, MayWatchSoMuchThatTheTableGrowsUnderThem) {
  std::vector<Handle> copies;
  std::vector<std::unique_ptr<Recorder>> others;
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  first.on_event([&, message = std::string{"captures that must not move"}](const StreamEvent&) {
    for (int i = 0; i < 600; ++i) {
      copies.push_back(duplicate(pairs_[1].local));
      others.push_back(std::make_unique<Recorder>(reactor(), copies.back(), Interest::readable));
    }
    first.watch.reset();
    EXPECT_EQ(message, "captures that must not move");
  });
  bytes_for_both();
  EXPECT_TRUE(delivers(first, "readable"));
  EXPECT_TRUE(run_until(reactor(), [&] {
    return std::all_of(others.begin(), others.end(),
                       [](const auto& other) { return !other->events().empty(); });
  }));
}

TEST_P(Handlers, MayReplaceTheirOwnWatchByAnotherOnTheSameDescriptor) {
  int old_calls = 0;
  int new_calls = 0;
  StreamWatch watch;
  watch =
      reactor().watch_stream(pairs_[0].local.get(), Interest::readable, [&](const StreamEvent&) {
        ++old_calls;
        watch.reset();
        watch = reactor().watch_stream(pairs_[0].local.get(), Interest::readable,
                                       [&](const StreamEvent&) { ++new_calls; });
      });
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(new_calls, 0);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(old_calls, 1);
  EXPECT_EQ(new_calls, 1);
}

TEST_P(Handlers, MayReplaceTheirOwnWatchByAssignment) {
  int new_calls = 0;
  StreamWatch watch;
  watch =
      reactor().watch_stream(pairs_[0].local.get(), Interest::readable, [&](const StreamEvent&) {
        watch = reactor().watch_stream(pairs_[1].local.get(), Interest::readable,
                                       [&](const StreamEvent&) { ++new_calls; });
      });
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_EQ(new_calls, 1);
}

TEST_P(Handlers, OwnTheirCapturesUntilTheyReturn) {
  // A session that owns its watch, and is owned by its watch's handler alone.
  struct Session {
    explicit Session(bool& gone_flag) : gone{gone_flag} {}
    ~Session() { gone = true; }
    StreamWatch watch;
    bool& gone;
  };
  bool gone = false;
  bool gone_too_early = true;
  {
    auto session = std::make_shared<Session>(gone);
    Session& kept = *session;
    kept.watch = reactor().watch_stream(
        pairs_[0].local.get(), Interest::readable,
        [&gone, &gone_too_early, session = std::move(session)](const StreamEvent&) {
          session->watch.reset();
          gone_too_early = gone;
        });
  }
  EXPECT_FALSE(gone);
  bytes_for_both();
  EXPECT_EQ(reactor().run_once(5s), 1u);
  EXPECT_FALSE(gone_too_early);
  EXPECT_TRUE(gone);
}

TEST_P(Handlers, MayBeDestroyedWithCapturesThatOwnAnotherWatch) {
  auto inner = std::make_shared<StreamWatch>(reactor().watch_stream(
      pairs_[1].local.get(), Interest::readable, [](const StreamEvent&) { FAIL(); }));
  StreamWatch outer = reactor().watch_stream(
      pairs_[0].local.get(), Interest::readable,
      [&outer, inner = std::move(inner)](const StreamEvent&) { outer.reset(); });
  write_bytes(pairs_[0].peer, "abc");
  EXPECT_EQ(reactor().run_once(5s), 1u);
  write_bytes(pairs_[1].peer, "abc");
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_TRUE(sleeps());
}

TEST_P(Handlers, MayStopTheLoopAndWhatWasFetchedIsDeliveredByTheNextRun) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  const auto stop = [&](Recorder& recorder, Handle& handle) {
    recorder.on_event([&](const StreamEvent&) {
      drain(handle);
      reactor().stop();
    });
  };
  stop(first, pairs_[0].local);
  stop(second, pairs_[1].local);
  bytes_for_both();
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(first.events().size(), 1u);
  EXPECT_EQ(second.events().size(), 1u);
}

TEST_P(Handlers, MayStopTheLoopAndWhatWasFetchedIsDeliveredAsItIsByThen) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  for (Recorder* recorder : {&first, &second})
    recorder->on_event([&](const StreamEvent&) { reactor().stop(); });
  bytes_for_both();
  EXPECT_EQ(reactor().run(), 1u);
  const bool first_was_called = !first.events().empty();
  for (Pair& pair : pairs_) drain(pair.local);
  pairs_[first_was_called ? 1 : 0].peer.close();
  EXPECT_TRUE(delivers(first_was_called ? second : first,
                       is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
}

TEST_P(Handlers, MayNotRunTheLoopTheyAreCalledBy) {
  std::error_code errors[4];
  Recorder local{reactor(), pairs_[0].local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    reactor().run(errors[0]);
    reactor().run_once(errors[1]);
    reactor().run_for(1s, errors[2]);
    reactor().poll(errors[3]);
    EXPECT_THROW(reactor().poll(), std::system_error);
    drain(pairs_[0].local);
  });
  bytes_for_both();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(local.events().size(), 1u);
  for (const std::error_code& error : errors) EXPECT_EQ(error, Errc::already_running);
}

TEST_P(Handlers, MayChangeTheirInterestAtTheEndOfTheStream) {
  Recorder local{reactor(), pairs_[0].local, Interest::readable};
  local.on_event([&](const StreamEvent& event) {
    if (event.end_of_stream()) local.watch.set_interest(Interest::writable);
  });
  pairs_[0].peer.close();
  EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream writable" : "end_of_stream hangup"));
}

POLLUX_ON_EACH_KIND(Handlers, streams);

class HandlersOfTcp : public Handlers {};

TEST_P(HandlersOfTcp, MayReadTheOtherStreamEmptyWhoseEndIsDeliveredAfterwards) {
  Recorder first{reactor(), pairs_[0].local, Interest::readable};
  Recorder second{reactor(), pairs_[1].local, Interest::readable};
  drain_both_on_readable(first, second);
  bytes_for_both();
  for (Pair& pair : pairs_) pair.peer.close();
  EXPECT_EQ(reactor().run_once(5s), 2u);
  EXPECT_TRUE(delivers(first, "readable end_of_stream"));
  EXPECT_TRUE(delivers(second, "readable end_of_stream"));
}

POLLUX_ON_EACH_KIND(HandlersOfTcp, tcp);

}  // namespace
}  // namespace pollux::conformance
