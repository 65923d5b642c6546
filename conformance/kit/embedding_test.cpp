// SPDX-License-Identifier: MIT
// A turn in pieces, for other loops: what prepare(), check() and dispatch() promise, on a loop that
// is nothing but poll(2) on the native handle. (tests/embed has real ones.)
#include <chrono>
#include <optional>
#include <string>

#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class ATurnInPieces : public OnEachBackend {
 protected:
  /// What another loop does: one round of it, with poll(2) on the native handle where there is one,
  /// and in short steps otherwise. Whether anything was to be done.
  bool round() {
    const auto timeout = reactor().prepare();
    std::error_code error;
    const NativeHandle waited = reactor().native_handle(error);
    const auto longest = error ? 1ms : 5000ms;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timeout.value_or(longest));
    await(waited, Await::readable, std::min<std::chrono::milliseconds>(wait, longest));
    if (!reactor().check()) return false;
    reactor().dispatch();
    return true;
  }

  bool rounds_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (!done() && std::chrono::steady_clock::now() < deadline) round();
    return done();
  }
};

TEST_P(ATurnInPieces, HasAHandleOrSaysThatItHasNone) {
  std::error_code error;
  const NativeHandle handle = reactor().native_handle(error);
  if (error) {
    EXPECT_EQ(error, std::errc::operation_not_supported);
    EXPECT_EQ(handle, no_handle);
    EXPECT_THROW(static_cast<void>(reactor().native_handle()), std::system_error);
  } else {
    EXPECT_EQ(reactor().native_handle(), handle);
  }
}

TEST_P(ATurnInPieces, ReportsWhatAWholeOneReports) {
  const Pair pair = make_pair(PairKind::tcp4);
  std::string received;
  const StreamWatch watch =
      reactor().watch_stream(pair.local.get(), Interest::readable, [&](const StreamEvent& event) {
        if (event.readable()) drain(pair.local);
        received += to_string(event) + ';';
      });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(rounds_until([&] { return received == "readable;"; })) << received;
  shutdown_write(pair.peer);
  EXPECT_TRUE(rounds_until([&] { return received == "readable;end_of_stream;"; })) << received;
}

TEST_P(ATurnInPieces, FiresTimersInTime) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> fired;
  // Long enough for whoever is slow to be asked before it is due.
  const Timer timer = reactor().after(100ms, [&] { fired = std::chrono::steady_clock::now(); });
  const auto timeout = reactor().next_timeout();
  ASSERT_TRUE(timeout);
  EXPECT_GT(*timeout, 0ns);
  EXPECT_LE(*timeout, 100ms);
  ASSERT_TRUE(rounds_until([&] { return fired.has_value(); }));
  EXPECT_GE(*fired - start, 100ms);
  EXPECT_EQ(reactor().next_timeout(), std::nullopt);
}

TEST_P(ATurnInPieces, HasNoTimeToLoseWhereSomethingIsDue) {
  EXPECT_EQ(reactor().next_timeout(), std::nullopt);
  reactor().post([] {});
  EXPECT_EQ(reactor().next_timeout(), 0ns);
  EXPECT_EQ(reactor().prepare(), 0ns);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
  EXPECT_EQ(reactor().prepare(), std::nullopt);
}

TEST_P(ATurnInPieces, IsWokenByAnotherThreadThatPosts) {
  for (int i = 0; i < 50; ++i) {
    bool called = false;
    Thread other{[&, poster = reactor().poster()] { poster.post([&] { called = true; }); }};
    EXPECT_TRUE(rounds_until([&] { return called; }));
  }
}

TEST_P(ATurnInPieces, KeepsWhatWasFetchedUntilItIsDispatched) {
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  std::size_t calls = 0;
  const Watch watch =
      reactor().watch(pair.local.get(), Interest::readable, [&](Readiness) { ++calls; });
  reactor().prepare();
  EXPECT_TRUE(reactor().check());
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(calls, 0u);
  EXPECT_EQ(reactor().next_timeout(), 0ns);
  EXPECT_EQ(reactor().dispatch(), 1u);
  EXPECT_EQ(reactor().dispatch(), 0u);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(calls, 2u);
}

TEST_P(ATurnInPieces, CallsNobodyAfterAStopAndKeepsWhatWasFetched) {
  const Pair pair = make_pair(cheapest_pair_kind());
  write_bytes(pair.peer, "abc");
  const Watch watch = reactor().watch(pair.local.get(), Interest::readable, [](Readiness) {});
  reactor().prepare();
  EXPECT_TRUE(reactor().check());
  reactor().stop();
  EXPECT_EQ(reactor().dispatch(), 0u);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
}

TEST_P(ATurnInPieces, SaysWhenWhatItPreparedHoldsNoLonger) {
  const Pair pair = make_pair(cheapest_pair_kind());
  Watch watch = reactor().watch(pair.local.get(), Interest::readable, [](Readiness) {});
  int notified = 0;
  reactor().on_reschedule([&] { ++notified; });
  reactor().prepare();
  EXPECT_EQ(notified, 0);
  watch.set_interest(Interest::writable);
  EXPECT_EQ(notified, 1);
  watch.set_interest(Interest::readable);
  EXPECT_EQ(notified, 1) << "once after each prepare()";
  reactor().prepare();
  Timer timer = reactor().after(1h, [] {});
  EXPECT_EQ(notified, 2);
  reactor().prepare();
  timer.restart(2h);
  EXPECT_EQ(notified, 2) << "later is no news";
  timer.restart(1ms);
  EXPECT_EQ(notified, 3);
  reactor().prepare();
  reactor().check();
  timer.restart(0s);
  reactor().dispatch();
  EXPECT_EQ(notified, 3) << "not before it has prepared again";
  reactor().on_reschedule({});
  reactor().prepare();
  watch.set_interest(Interest::writable);
  EXPECT_EQ(notified, 3);
}

TEST_P(ATurnInPieces, MakesAChangeOfInterestCount) {
  const Pair pair = make_pair(cheapest_pair_kind());
  Recorder local{reactor(), pair.local, Interest::none};
  reactor().prepare();
  local.watch.set_interest(Interest::writable);
  EXPECT_TRUE(rounds_until([&] { return !local.events().empty(); }));
}

TEST_P(ATurnInPieces, IsRefusedFromInsideAHandler) {
  std::error_code checked;
  std::error_code dispatched;
  reactor().post([&] {
    reactor().check(checked);
    reactor().dispatch(dispatched);
  });
  reactor().poll();
  EXPECT_EQ(checked, Errc::already_running);
  EXPECT_EQ(dispatched, Errc::already_running);
}

POLLUX_ON_EACH_BACKEND(ATurnInPieces);

}  // namespace
}  // namespace pollux::conformance
