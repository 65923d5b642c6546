// SPDX-License-Identifier: MIT
// The counters, the tracers, and a backend that is not to be believed.
#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <pollux/text_tracer.hpp>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

class LookingInside : public OnEachBackend {};

TEST_P(LookingInside, CountsWhatWasDone) {
  const Pair pair = make_pair(PairKind::tcp4);
  EXPECT_EQ(reactor().stats().turns, 0u);
  StreamWatch watch =
      reactor().watch_stream(pair.local.get(), Interest::readable, [](const StreamEvent&) {});
  const Timer timer = reactor().after(std::chrono::seconds{0}, [] {});
  reactor().post([] {});
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().poll(), 3u);
  const Stats stats = reactor().stats();
  EXPECT_EQ(stats.turns, 1u);
  EXPECT_EQ(stats.waits, 1u);
  EXPECT_EQ(stats.reports, 1u);
  EXPECT_EQ(stats.events, 1u);
  EXPECT_EQ(stats.timers, 1u);
  EXPECT_EQ(stats.posts, 1u);
  EXPECT_GE(stats.changes, 1u);
  EXPECT_EQ(stats.stale_reports, 0u);
  EXPECT_EQ(stats.rebuilds, 0u);
  // Where the FIN is known, plain bytes need no look; where it isn't, they do.
  const bool believed = any(reactor().backend_reports(), RawReady::rdhup);
  EXPECT_EQ(stats.probes, believed ? 0u : 1u);
  EXPECT_GE(stats.system_calls, stats.waits + stats.probes);
}

TEST_P(LookingInside, CountsTheChangesThatNeedNoCall) {
  const Pair pair = make_pair(cheapest_pair_kind());
  StreamWatch watch =
      reactor().watch_stream(pair.local.get(), Interest::none, [](const StreamEvent&) {});
  const auto changes = reactor().stats().changes;
  for (int i = 0; i < 100; ++i) {
    watch.set_interest(Interest::writable);
    watch.set_interest(Interest::none);
  }
  reactor().poll();
  EXPECT_EQ(reactor().stats().changes, changes);
  EXPECT_EQ(reactor().stats().coalesced, 1u);
}

/// Writes down what it hears.
class Scribe final : public Tracer {
 public:
  void watched(time_point when, NativeHandle handle, Token token, WatchKind,
               Interest) noexcept override {
    note(when, token, "watched ");
    last_handle = handle;
  }
  void reported(time_point when, Token token, RawReady ready) noexcept override {
    note(when, token, "reported ");
    last_ready = ready;
  }
  void delivered(time_point when, Token token, const StreamEvent& event) noexcept override {
    note(when, token, to_string(event) + ' ');
  }
  void delivered(time_point when, Token token, Readiness) noexcept override {
    note(when, token, "ready ");
  }

  std::string received;
  RawReady last_ready = RawReady::none;
  NativeHandle last_handle = no_handle;
  Token last_token;

 private:
  void note(time_point when, Token token, std::string what) {
    EXPECT_GE(when, last_);
    last_ = when;
    if (what != "watched ") {
      EXPECT_EQ(token, last_token);
    }
    last_token = token;
    received += what;
  }

  time_point last_{};
};

TEST_P(LookingInside, ATracerReceivesWhatIsReportedAndWhatIsDelivered) {
  Scribe scribe;
  reactor().set_tracer(&scribe);
  const Pair stream = make_pair(PairKind::tcp4);
  {
    Recorder local{reactor(), stream.local, Interest::readable};
    write_bytes(stream.peer, "abc");
    ASSERT_TRUE(run_until(reactor(), [&] { return !local.events().empty(); }));
    EXPECT_EQ(scribe.received, "watched reported readable ");
    EXPECT_EQ(scribe.last_handle, stream.local.get());
    EXPECT_TRUE(any(scribe.last_ready, RawReady::in));
  }
  scribe.received.clear();
  const Watch watch = reactor().watch(stream.local.get(), Interest::writable, [](Readiness) {});
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(scribe.received, "watched reported ready ");

  reactor().set_tracer(nullptr);
  scribe.received.clear();
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(scribe.received, "");
}

/// The lines of a trace without their times, and with names in place of numbers. What a backend
/// reports is its own affair, and left out; so is how long a handler took, the machine's.
std::string story_of(std::string text, NativeHandle handle) {
  const std::string number = "fd " + std::to_string(handle) + ' ';
  std::istringstream lines{text};
  std::string story;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(number);
    if (at == std::string::npos || line.find(" reported ") != std::string::npos ||
        line.find(" handler returned after ") != std::string::npos)
      continue;
    story += line.substr(at + number.size()) + '\n';
  }
  return story;
}

/// What a close of the peer does to AF_UNIX; TCP has two ends to end.
void end_both_directions(Pair& pair, StreamWatch& watch) {
  if (is_tcp(cheapest_pair_kind())) watch.shutdown(Shutdown::write);
  pair.peer.close();
}

TEST_P(LookingInside, ATextTracerWritesTheSameStoryOnEachBackend) {
  std::string text;
  TextTracer tracer{[&](std::string_view line) { text.append(line) += '\n'; }};
  reactor().set_tracer(&tracer);
  Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  bool over = false;
  StreamWatch watch;
  watch = reactor().watch_stream(handle, Interest::readable, [&](const StreamEvent& event) {
    if (event.readable()) {
      read_bytes(pair.local);
      watch.set_interest(Interest::none);
    }
    over = event.hangup();
  });
  write_bytes(pair.peer, "abc");
  ASSERT_TRUE(run_until(reactor(), [&] { return watch.interest() == Interest::none; }));
  watch.set_interest(Interest::readable);
  end_both_directions(pair, watch);
  ASSERT_TRUE(run_until(reactor(), [&] { return over; }));
  watch.reset();
  EXPECT_EQ(story_of(text, handle),
            "watched stream, interest readable\n"
            "delivered readable\n"
            "interest readable -> none\n"
            "interest none -> readable\n"
            "delivered end_of_stream hangup\n"
            "unwatched\n");
  EXPECT_NE(text.find(" reported in"), std::string::npos);
}

TEST_P(LookingInside, ATextTracerSaysOnEachBackendThatAPausedStreamIsParked) {
  std::string text;
  TextTracer tracer{[&](std::string_view line) { text.append(line) += '\n'; }};
  reactor().set_tracer(&tracer);
  Pair pair = make_pair(cheapest_pair_kind());
  StreamWatch watch =
      reactor().watch_stream(pair.local.get(), Interest::none, [](const StreamEvent&) {});
  write_bytes(pair.peer, "abc");
  end_both_directions(pair, watch);
  // No handler is called for it, and so no run ends by itself.
  const Timer tick = reactor().every(std::chrono::milliseconds{1}, [] {});
  ASSERT_TRUE(run_until(reactor(), [&] { return text.find("parked") != std::string::npos; }));
  EXPECT_EQ(text.find("delivered"), std::string::npos);
}

/// Remembers who was watched, and how often somebody else was reported.
class Doorkeeper final : public Tracer {
 public:
  void watched(time_point, NativeHandle, Token token, WatchKind, Interest) noexcept override {
    watched_.push_back(token);
  }
  void reported(time_point, Token token, RawReady) noexcept override {
    if (std::find(watched_.begin(), watched_.end(), token) == watched_.end()) ++strangers;
  }
  void delivered(time_point, Token, const StreamEvent&) noexcept override {}
  void delivered(time_point, Token, Readiness) noexcept override {}

  int strangers = 0;

 private:
  std::vector<Token> watched_;
};

TEST_P(LookingInside, ATracerDoesNotLearnOfWhatTheLoopWatchesForItself) {
  Doorkeeper doorkeeper;
  reactor().set_tracer(&doorkeeper);
  const Pair busy = make_pair(cheapest_pair_kind());
  write_bytes(busy.peer, "x");
  const Watch watch = reactor().watch(busy.local.get(), Interest::readable, [](Readiness) {});
  bool fired = false;
  const Timer timer = reactor().after(std::chrono::milliseconds{2}, [&] { fired = true; });
  ASSERT_TRUE(run_until(reactor(), [&] { return fired; }));
  EXPECT_EQ(doorkeeper.strangers, 0);
}

POLLUX_ON_EACH_BACKEND(LookingInside);

class ADistrustedBackend : public OnEachKind {};

TEST_P(ADistrustedBackend, ReportsTheSameEvents) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    RawReady unreliable_bits = RawReady::none;
    if ((bits & 1) != 0) unreliable_bits |= RawReady::rdhup;
    if ((bits & 2) != 0) unreliable_bits |= RawReady::hup;
    if ((bits & 4) != 0) unreliable_bits |= RawReady::err;
    SCOPED_TRACE("bits " + std::to_string(bits));
    use({.unreliable_bits = unreliable_bits});
    Pair pair = make_pair(kind());
    Recorder local{reactor(), pair.local, Interest::readable};
    write_bytes(pair.peer, "abc");
    shutdown_write(pair.peer);
    std::size_t total = 0;
    drain_on_readable(local, pair.local, total);
    EXPECT_TRUE(delivers(local, "readable end_of_stream"));
    // Who is not told of failures must look for them, from time to time.
    if (!any(unreliable_bits, RawReady::err)) {
      EXPECT_TRUE(sleeps());
    }
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));

    Pair cut = make_pair(kind());
    Recorder paused{reactor(), cut.local, Interest::none};
    reset_by_peer(cut);
    EXPECT_TRUE(delivers(paused, "error hangup"));
    EXPECT_TRUE(sleeps());
  }
}

POLLUX_ON_EACH_KIND(ADistrustedBackend, sockets);

}  // namespace
}  // namespace pollux::conformance
