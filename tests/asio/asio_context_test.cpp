// SPDX-License-Identifier: MIT
// A reactor on an application's own io_context (pollux/asio.hpp): both live, and neither harms the
// other.
#include <memory>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <pollux/asio.hpp>
#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"

namespace {

using namespace pollux;
using namespace pollux::support;
using namespace std::chrono_literals;

std::unique_ptr<Backend> backend_on(asio::io_context& context) {
  std::error_code error;
  auto backend = make_asio_backend(context, error);
  EXPECT_FALSE(error) << error.message();
  return backend;
}

struct AsioContext : testing::Test {
  asio::io_context context;
  Reactor reactor{backend_on(context)};
  Pair pair = make_pair(PairKind::tcp4);
};

TEST_F(AsioContext, LifecycleEventsComeThroughTheApplicationsContext) {
  std::string story;
  const auto watch =
      reactor.watch_stream(pair.local.get(), Interest::readable, [&](const StreamEvent& event) {
        story += to_string(event) + "; ";
        if (event.readable()) drain(pair.local);
      });
  write_bytes(pair.peer, "last words");
  shutdown_write(pair.peer);
  while (story.find("end_of_stream") == std::string::npos) ASSERT_NE(reactor.run_once(5s), 0u);
  EXPECT_EQ(story, "readable; end_of_stream; ");
}

TEST_F(AsioContext, TheApplicationsOwnHandlersRunInsideTheReactorsWaits) {
  bool posted = false;
  asio::post(context, [&] {
    posted = true;
    reactor.stop();
  });
  reactor.run_forever();
  EXPECT_TRUE(posted);
}

TEST_F(AsioContext, ATimerOfTheApplicationFiresWhileTheReactorWaits) {
  asio::steady_timer timer{context, 5ms};
  bool fired = false;
  timer.async_wait([&](const std::error_code& error) {
    fired = !error;
    reactor.stop();
  });
  reactor.run_forever();
  EXPECT_TRUE(fired);
}

TEST_F(AsioContext, AHandlerThatPostsItselfForEverDoesNotStarveTheReactor) {
  bool delivered = false;
  const auto watch = reactor.watch(pair.local.get(), Interest::writable, [&](Readiness) {
    delivered = true;
    reactor.stop();
  });
  struct Again {
    asio::io_context& context;
    void operator()() const { asio::post(context, *this); }
  };
  asio::post(context, Again{context});
  reactor.run_forever();
  EXPECT_TRUE(delivered);
}

TEST_F(AsioContext, WhatAnApplicationsHandlerThrowsLeavesRunAndTheReactorStaysUsable) {
  asio::post(context, [] { throw std::runtime_error{"the application's"}; });
  EXPECT_THROW(reactor.run_forever(), std::runtime_error);
  bool delivered = false;
  const auto watch =
      reactor.watch(pair.local.get(), Interest::writable, [&](Readiness) { delivered = true; });
  EXPECT_EQ(reactor.run_once(5s), 1u);
  EXPECT_TRUE(delivered);
}

TEST_F(AsioContext, TheContextOutlivesTheReactorAndRunsOn) {
  auto second = std::make_unique<Reactor>(backend_on(context));
  auto watch = second->watch(pair.local.get(), Interest::readable, [](Readiness) {});
  second->poll();
  second.reset();
  bool posted = false;
  asio::post(context, [&] { posted = true; });
  context.restart();
  context.poll();  // also completes the waits that the reactor left behind
  EXPECT_TRUE(posted);
}

TEST_F(AsioContext, AContextThatWasStoppedIsRunAgain) {
  context.stop();
  const auto watch = reactor.watch(pair.local.get(), Interest::writable, [](Readiness) {});
  EXPECT_EQ(reactor.run_once(5s), 1u);
}

TEST_F(AsioContext, ADescriptorClosedUnderItsWatchWithADuplicateAliveHarmsNobody) {
  auto watch = reactor.watch(pair.local.get(), Interest::readable, [](Readiness) { FAIL(); });
  reactor.poll();
  const Handle alive = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  watch.reset();
  write_bytes(pair.peer, "for the duplicate");

  // The number is the application's own by now, watched by its own Asio object.
  Pair other = make_pair(PairKind::unix_stream);
  ASSERT_EQ(other.local.get(), number);
  bool readable = false;
  {
    asio::posix::stream_descriptor descriptor{context, other.local.get()};
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [&](const std::error_code& error) { readable = !error; });
    reactor.poll();
    EXPECT_FALSE(readable);
    write_bytes(other.peer, "x");
    while (!readable) reactor.poll();
    descriptor.release();
  }
}

TEST_F(AsioContext, TheBackendLeavesABlockingDescriptorBlocking) {
  Handle blocking = duplicate(pair.local);
  ASSERT_EQ(::fcntl(blocking.get(), F_SETFL, 0), 0);
  const auto watch =
      reactor.watch_stream(blocking.get(), Interest::readable, [](const StreamEvent&) {});
  reactor.poll();
  EXPECT_EQ(::fcntl(blocking.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(AsioContext, AFileThatComesBackToANumberItWasClosedUnderNeedsNoNewSet) {
  Watch watch = reactor.watch(pair.local.get(), Interest::readable, [](Readiness) {});
  const NativeHandle number = pair.local.get();
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  watch.reset();
  ASSERT_EQ(::dup2(copy.get(), number), number);
  const Handle back{number};
  bool called = false;
  watch = reactor.watch(number, Interest::readable, [&](Readiness) { called = true; });
  EXPECT_EQ(reactor.stats().rebuilds, 0u);
  write_bytes(pair.peer, "x");
  reactor.run_once(5s);
  EXPECT_TRUE(called);
}

}  // namespace
