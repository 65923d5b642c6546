// SPDX-License-Identifier: MIT
// What Reactor::dump() says of everything that a reactor watches and waits for.
#include <csignal>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {
namespace {

/// The line of `text` about that descriptor, without the descriptor's number.
std::string line_of(const std::string& text, NativeHandle handle) {
  const std::string number = "fd " + std::to_string(handle) + ' ';
  const std::size_t at = text.find(number);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + number.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A stream under watch, whose readiness the test sets.
struct Watched {
  explicit Watched(Interest interest, RawReady reports = FakeBackend::native)
      : on{reports, true, {}} {
    watch = on.reactor.watch_stream(handle, interest, [](const StreamEvent&) {});
  }
  std::string line() const { return line_of(on.reactor.dump(), handle); }
  void report(RawReady ready) {
    on.fake.set_ready(handle, ready);
    on.reactor.poll();
  }

  Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  FakeReactor on;
  StreamWatch watch;
};

constexpr RawReady over = RawReady::in | RawReady::rdhup | RawReady::hup;

TEST(TheDump, OfAReactorWithNothingToDoNamesItsBackendAndTurns) {
  FakeReactor on;
  on.reactor.poll();
  EXPECT_EQ(on.reactor.dump(),
            "reactor: on fake, 1 turns\n"
            "watches: none\n"
            "timers: 0, 0 armed\n"
            "signals and children: none\n"
            "tasks: 0 waiting\n");
}

TEST(TheDump, OfAReactorThatCouldNotBeMadeSaysSo) {
  std::error_code error;
  const Reactor closed{std::unique_ptr<Backend>{}, {}, error};
  EXPECT_EQ(closed.dump(), "reactor: closed\n");
}

TEST(TheDump, SaysWhatAStreamAsksForAndWhatTheKernelIsAskedFor) {
  Watched stream{Interest::readable};
  EXPECT_EQ(stream.line(),
            "stream (socket), interest readable, kernel asked for in rdhup, reading");
  stream.watch.set_interest(Interest::writable);
  EXPECT_EQ(stream.line(),
            "stream (socket), interest writable, kernel asked for in rdhup, paused, "
            "change of interest pending");
  stream.on.reactor.poll();
  EXPECT_EQ(stream.line(), "stream (socket), interest writable, kernel asked for out, paused");
  stream.watch.shutdown(Shutdown::write);
  // Where nothing reports an own shutdown, the kernel is asked for the peer's FIN as well.
  EXPECT_TRUE(stream.line().starts_with(
      "stream (socket), interest writable, kernel asked for out, paused, to be rechecked"))
      << stream.line();
  stream.watch.reset();
  EXPECT_EQ(stream.line(), "");
}

TEST(TheDump, SaysWhatHasBeenDelivered) {
  Watched stream{Interest::readable | Interest::peer_closed};
  shutdown_write(stream.pair.peer);
  stream.report(RawReady::in | RawReady::rdhup);
  stream.on.reactor.poll();
  EXPECT_EQ(stream.line(),
            "stream (socket), interest readable|peer_closed, kernel asked for hup, "
            "peer_closed delivered, end_of_stream delivered");
  stream.pair.peer.close();
  stream.report(over);
  EXPECT_EQ(stream.line(),
            "stream (socket), interest readable|peer_closed, kernel asked for nothing, "
            "peer_closed delivered, over: hangup delivered");
}

TEST(TheDump, SaysThatAPausedStreamIsParked) {
  Watched stream{Interest::none};
  write_bytes(stream.pair.peer, "x");
  stream.pair.peer.close();
  stream.report(over);
  EXPECT_EQ(stream.line(),
            "stream (socket), interest none, kernel asked for nothing, "
            "parked: over, with bytes unread, while paused");
}

TEST(TheDump, SaysThatAStreamIsMasked) {
  Watched stream{Interest::readable};
  for (int i = 0; i < 4; ++i) stream.report(RawReady::err);
  EXPECT_TRUE(contains(stream.line(), "masked until something new happens")) << stream.line();
}

TEST(TheDump, SaysWhenAStreamIsAskedAboutAgain) {
  Watched stream{Interest::peer_closed, FakeBackend::emulated};
  write_bytes(stream.pair.peer, "x");
  stream.report(RawReady::in);
  EXPECT_TRUE(contains(stream.line(), "the peer's FIN is asked about by a timer")) << stream.line();
  EXPECT_TRUE(contains(stream.line(), "asked about again in 0.001000 s")) << stream.line();
}

TEST(TheDump, SaysThatADescriptorWasClosedUnderItsWatch) {
  FakeReactor on;
  Watch watch = on.reactor.watch(5, Interest::readable, [](Readiness) {});
  on.fake.close(5);
  watch.set_interest(Interest::writable);
  on.reactor.poll();
  EXPECT_EQ(line_of(on.reactor.dump(), 5),
            "readiness, interest writable, kernel asked for nothing, closed under its watch");
}

TEST(TheDump, NamesTheEndsOfAPipe) {
  if (!is_available(PairKind::pipe)) return RecordProperty("not_played", "no pipes here");
  FakeReactor on;
  const Pair pipe = make_pair(PairKind::pipe);
  const auto nothing = [](const StreamEvent&) {};
  const StreamWatch reader = on.reactor.watch_stream(pipe.local.get(), Interest::readable, nothing);
  const StreamWatch writer = on.reactor.watch_stream(pipe.peer.get(), Interest::writable, nothing);
  EXPECT_EQ(line_of(on.reactor.dump(), pipe.local.get()),
            "stream (pipe, reading end), interest readable, kernel asked for in, reading");
  EXPECT_EQ(line_of(on.reactor.dump(), pipe.peer.get()),
            "stream (pipe, writing end), interest writable, kernel asked for out");
}

TEST(TheDump, MayBeTakenByAHandler) {
  FakeReactor on;
  std::string in_turn;
  std::string ended;
  Watch watch;
  watch = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    in_turn = on.reactor.dump();
    watch.reset();
    ended = on.reactor.dump();
    on.reactor.stop();
  });
  on.fake.set_ready(5, RawReady::in);
  on.reactor.poll();
  EXPECT_TRUE(contains(in_turn, "reactor: on fake, 1 turns, in a turn\n")) << in_turn;
  EXPECT_EQ(line_of(in_turn, 5),
            "readiness, interest readable, kernel asked for in, in its handler");
  EXPECT_EQ(line_of(ended, 5),
            "readiness, interest readable, kernel asked for nothing, unwatched by its handler");
}

TEST(TheDump, CountsTimersAndSaysWhenTheNextIsDue) {
  FakeReactor on;
  const Timer late = on.reactor.after(2500ms, [] {});
  const Timer early = on.reactor.after(1500ms, [] {});
  Timer cancelled = on.reactor.after(1ms, [] {});
  cancelled.cancel();
  FakeClock::advance(1s);
  EXPECT_TRUE(contains(on.reactor.dump(), "timers: 3, 2 armed, next in 0.500000 s\n"))
      << on.reactor.dump();
  FakeClock::advance(1s);
  EXPECT_TRUE(contains(on.reactor.dump(), "next in -0.500000 s\n")) << on.reactor.dump();
}

TEST(TheDump, NamesSignalsAndChildren) {
  FakeReactor on;
  const SignalWatch signal = on.reactor.on_signal(SIGINT, [](int) {});
  const std::string interrupt = "  signal " + std::to_string(SIGINT);
  EXPECT_TRUE(contains(on.reactor.dump(), interrupt + '\n')) << on.reactor.dump();
  const ChildProcess process{0};
  {
    const ChildWatch child = on.reactor.on_child_exit(process.pid(), [](ChildExit) {});
    const std::string line = "  child " + std::to_string(process.pid()) + ", by ";
    EXPECT_TRUE(contains(on.reactor.dump(), line)) << on.reactor.dump();
  }
  EXPECT_TRUE(process.is_there()) << "it is left to its owner";
}

TEST(TheDump, CountsTheTasksThatWait) {
  FakeReactor on;
  std::optional<std::string> inside;
  constexpr int many = 1000;  // more than a block
  on.reactor.post([&] { inside = on.reactor.dump(); });
  for (int i = 1; i < many; ++i) on.reactor.post([] {});
  EXPECT_TRUE(contains(on.reactor.dump(), "tasks: 1000 waiting\n")) << on.reactor.dump();
  on.reactor.poll();
  ASSERT_TRUE(inside);
  EXPECT_TRUE(contains(*inside, "tasks: 999 waiting\n")) << *inside;
  EXPECT_TRUE(contains(on.reactor.dump(), "tasks: 0 waiting\n"));
}

TEST(TheDump, SaysThatAStopIsPending) {
  FakeReactor on;
  on.reactor.stop();
  on.reactor.wake();
  EXPECT_TRUE(contains(on.reactor.dump(), "0 turns, stop() pending, wake() pending\n"))
      << on.reactor.dump();
}

}  // namespace
}  // namespace pollux::support
