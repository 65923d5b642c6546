// SPDX-License-Identifier: MIT
// What a TextTracer writes, line for line, and when $POLLUX_TRACE makes one.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>
#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"
#include "support/environment.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {
namespace {

/// A reactor without a kernel, what is traced of it, and a stream.
struct Traced {
  Traced() { on.reactor.set_tracer(&tracer); }

  /// The lines since the last time, with 5 in place of the stream's number.
  std::string take() {
    const std::string number = "fd " + std::to_string(fd) + ' ';
    for (std::size_t at = 0; (at = text.find(number, at)) != std::string::npos; ++at)
      text.replace(at, number.size(), "fd 5 ");
    return std::exchange(text, {});
  }
  StreamWatch watch_stream(Interest interest) {
    return on.reactor.watch_stream(fd, interest, [](const StreamEvent&) {});
  }

  FakeReactor on;
  Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle fd = pair.local.get();
  std::string text;
  TextTracer tracer{[this](std::string_view line) { text.append(line) += '\n'; }, FakeClock::now()};
};

TEST(ATextTracer, WritesALineForEachThingThatHappensToAWatch) {
  Traced with;
  StreamWatch watch;
  watch = with.on.reactor.watch_stream(with.fd, Interest::readable | Interest::writable,
                                       [&](const StreamEvent& event) {
                                         if (event.readable()) watch.set_interest(Interest::none);
                                       });
  FakeClock::advance(std::chrono::microseconds{1'000'042});
  with.on.fake.set_ready(with.fd, RawReady::in | RawReady::out);
  with.on.reactor.poll();
  watch.reset();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 watched stream, interest readable|writable\n"
            "1.000042 fd 5 reported in out\n"
            "1.000042 fd 5 delivered readable writable\n"
            "1.000042 fd 5 interest readable|writable -> none\n"
            "1.000042 fd 5 unwatched\n");
}

TEST(ATextTracer, WritesEndAndHangup) {
  Traced with;
  const StreamWatch watch = with.watch_stream(Interest::readable | Interest::peer_closed);
  with.take();
  with.pair.peer.close();
  with.on.fake.set_ready(with.fd, RawReady::in | RawReady::rdhup | RawReady::hup);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 reported in rdhup hup\n"
            "0.000000 fd 5 delivered peer_closed end_of_stream hangup\n");
}

TEST(ATextTracer, WritesAnInterestThatAnEventHasUsedUp) {
  Traced with;
  const StreamWatch watch = with.watch_stream(Interest::readable | Interest::one_shot);
  with.take();
  write_bytes(with.pair.peer, "x");
  with.on.fake.set_ready(with.fd, RawReady::in);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 reported in\n"
            "0.000000 fd 5 delivered readable\n"
            "0.000000 fd 5 interest readable|one_shot -> none\n");
}

TEST(ATextTracer, SaysThatAWatchIsMasked) {
  Traced with;
  const StreamWatch watch = with.watch_stream(Interest::readable);
  with.on.fake.set_ready(with.fd, RawReady::err);
  with.on.reactor.run_for(1s);
  EXPECT_NE(with.take().find("fd 5 masked until something new happens\n"), std::string::npos);
}

TEST(ATextTracer, SaysThatAReadinessWatchIsMaskedBehindAnErrorAlone) {
  Traced with;
  const Watch watch = with.on.reactor.watch(with.fd, Interest::readable, [](Readiness) {});
  with.take();
  with.on.fake.set_ready(with.fd, RawReady::err);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 reported err\n"
            "0.000000 fd 5 masked until something new happens\n"
            "0.000000 fd 5 delivered readable error\n");
}

TEST(ATextTracer, SaysThatAPausedWatchIsParkedBehindItsUnreadBytes) {
  Traced with;
  StreamWatch watch = with.watch_stream(Interest::none);
  write_bytes(with.pair.peer, "x");
  with.pair.peer.close();
  with.take();
  with.on.fake.set_ready(with.fd, RawReady::in | RawReady::rdhup | RawReady::hup);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 reported hup\n"
            "0.000000 fd 5 parked: over, with bytes unread, while paused\n");
}

TEST(ATextTracer, SaysThatADescriptorWasClosedUnderItsWatch) {
  Traced with;
  Watch watch = with.on.reactor.watch(with.fd, Interest::readable, [](Readiness) {});
  with.take();
  with.on.fake.close(with.fd);
  watch.set_interest(Interest::writable);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 interest readable -> writable\n"
            "0.000000 fd 5 closed under its watch\n");
}

TEST(ATextTracer, KnowsWhoseAStaleReportIs) {
  Traced with;
  Watch watch = with.on.reactor.watch(with.fd, Interest::readable, [](Readiness) {});
  const Token token = with.on.fake.calls().front().token;
  watch.reset();
  with.take();
  with.on.fake.report(token, RawReady::in);
  with.on.fake.report({token.slot, token.generation + 1}, RawReady::in);
  with.on.reactor.poll();
  EXPECT_EQ(with.take(),
            "0.000000 fd 5 reported in, for a watch that has ended\n"
            "0.000000 fd ? reported in\n");
}

TEST(ATextTracer, SaysThatAHandlerTookLong) {
  Traced with;
  std::chrono::nanoseconds takes = TextTracer::long_call - 1ns;
  const Watch watch = with.on.reactor.watch(with.fd, Interest::writable,
                                            [&](Readiness) { FakeClock::advance(takes); });
  with.on.fake.set_ready(with.fd, RawReady::out);
  with.on.reactor.poll();
  EXPECT_EQ(with.take().find("returned"), std::string::npos);
  takes = 2s;
  with.on.reactor.poll();
  EXPECT_NE(with.take().find("fd 5 handler returned after 2.000000 s\n"), std::string::npos);
}

TEST(ATextTracer, ThatIsSetLateSaysFirstWhatIsWatchedAlready) {
  Traced with;
  with.on.reactor.set_tracer(nullptr);
  const StreamWatch watch = with.watch_stream(Interest::readable);
  EXPECT_EQ(with.take(), "");
  with.on.reactor.set_tracer(&with.tracer);
  EXPECT_EQ(with.take(), "0.000000 fd 5 watched stream, interest readable\n");
}

TEST(ATextTracer, ThatIsSetByAHandlerSaysNothingOfTheWatchThatThisHandlerHasEnded) {
  Traced with;
  with.on.reactor.set_tracer(nullptr);
  Watch watch;
  watch = with.on.reactor.watch(with.fd, Interest::writable, [&](Readiness) {
    watch.reset();
    with.on.reactor.set_tracer(&with.tracer);
  });
  with.on.fake.set_ready(with.fd, RawReady::out);
  with.on.reactor.poll();
  EXPECT_EQ(with.text.find("watched"), std::string::npos);
}

/// Has a message of that length.
class LongWinded final : public std::error_category {
 public:
  const char* name() const noexcept override { return "long-winded"; }
  std::string message(int length) const override {
    return std::string(static_cast<std::size_t>(length), 'x');
  }
};

TEST(ATextTracer, NamesAFailureAndCutsWhatIsTooLong) {
  const auto start = FakeClock::now();
  std::string text;
  TextTracer tracer{[&](std::string_view line) { text = line; }, start};
  const Token token{70, 3};
  tracer.watched(start, 9, token, WatchKind::stream, Interest::none);
  const std::error_code reset = system_error_code(std::errc::connection_reset);
  tracer.delivered(start - 1500us, token, StreamEvent{Event::error | Event::hangup, reset});
  EXPECT_EQ(text, "-0.001500 fd 9 delivered error(" + reset.message() + ") hangup");
  const LongWinded category;
  tracer.delivered(start, token, StreamEvent{Event::error, std::error_code{1000, category}});
  EXPECT_EQ(text.size(), 255u);
}

TEST(ATextTracer, NamesAllThatAReadinessWatchMayBeDelivered) {
  std::string text;
  TextTracer tracer{[&](std::string_view line) { text = line; }, FakeClock::now()};
  tracer.delivered(
      FakeClock::now(), {},
      Readiness{Interest::readable | Interest::writable | Interest::priority, true, true});
  EXPECT_EQ(text, "0.000000 fd ? delivered readable writable priority error hangup");
}

/// A file that is gone afterwards.
struct TraceFile {
  TraceFile() { std::filesystem::remove(path); }
  ~TraceFile() { std::filesystem::remove(path); }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  std::string text() const {
    std::ostringstream all;
    all << std::ifstream{path}.rdbuf();
    return all.str();
  }

  const std::string path = testing::TempDir() + "pollux_trace_" +
                           testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST(ATextTracer, WritesToAStreamThatStaysItsOwners) {
  const TraceFile file;
  std::FILE* const stream = std::fopen(file.path.c_str(), "w");
  ASSERT_NE(stream, nullptr);
  {
    TextTracer tracer{stream, FakeClock::now()};
    tracer.watched(FakeClock::now(), 7, {}, WatchKind::readiness, Interest::edge);
  }
  ASSERT_EQ(std::fclose(stream), 0);
  EXPECT_EQ(file.text(), "0.000000 fd 7 watched readiness, interest edge\n");
}

constexpr const char* variable = "POLLUX_TRACE";

TEST(TheTraceVariable, NamesAFileThatEachReactorAppendsTo) {
  const TraceFile file;
  const EnvironmentVariable trace{variable, file.path.c_str()};
  for (int i = 0; i < 2; ++i) {
    FakeReactor on;
    const Watch watch = on.reactor.watch(5, Interest::readable, [](Readiness) {});
    EXPECT_NE(file.text().find("fd 5 watched readiness"), std::string::npos) << "at once";
  }
  EXPECT_EQ(file.text(),
            "0.000000 fd 5 watched readiness, interest readable\n"
            "0.000000 fd 5 unwatched\n"
            "0.000000 fd 5 watched readiness, interest readable\n"
            "0.000000 fd 5 unwatched\n");
}

TEST(TheTraceVariable, MayNameStandardError) {
  for (const char* value : {"1", "stderr"}) {
    const EnvironmentVariable trace{variable, value};
    testing::internal::CaptureStderr();
    {
      FakeReactor on;
      const Watch watch = on.reactor.watch(5, Interest::readable, [](Readiness) {});
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "0.000000 fd 5 watched readiness, interest readable\n"
              "0.000000 fd 5 unwatched\n");
  }
}

TEST(TheTraceVariable, WithoutAValueOrWithZeroCostsNoDescriptorAndWritesNothing) {
  for (const char* value : {static_cast<const char*>(nullptr), "", "0"}) {
    const EnvironmentVariable trace{variable, value};
    testing::internal::CaptureStderr();
    const std::size_t before = open_descriptors();
    FakeReactor on;
    const Watch watch = on.reactor.watch(5, Interest::readable, [](Readiness) {});
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  }
}

TEST(TheTraceVariable, ThatNamesNoFileIsAnErrorOfTheConstructor) {
  const EnvironmentVariable trace{variable, "no such directory/trace"};
  std::error_code error;
  const Reactor closed{std::make_unique<FakeBackend>(), {}, error};
  EXPECT_EQ(error, Errc::trace_unavailable);
  EXPECT_EQ(closed.backend_name(), "");
  EXPECT_EQ(thrown_by([] { const Reactor thrown{std::make_unique<FakeBackend>()}; }),
            Errc::trace_unavailable);
}

TEST(TheTraceVariable, GivesWayToATracerOfTheProgram) {
  const TraceFile file;
  const EnvironmentVariable trace{variable, file.path.c_str()};
  Traced with;
  const Watch watch = with.on.reactor.watch(with.fd, Interest::none, [](Readiness) {});
  EXPECT_EQ(file.text(), "");
  EXPECT_NE(with.take(), "");
}

}  // namespace
}  // namespace pollux::support
