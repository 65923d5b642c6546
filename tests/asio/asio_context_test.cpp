// SPDX-License-Identifier: MIT
// A reactor on an application's own io_context (pollux/asio.hpp): both live, and neither harms the
// other.
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "asio_context.hpp"
#include "conformance/support/system.hpp"

namespace {

using namespace pollux;
using namespace pollux::support;
using namespace std::chrono_literals;

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

TEST_F(AsioContext, TheBackendLeavesABlockingDescriptorBlocking) {
  const Handle blocking = duplicate(pair.local);
  set_blocking(blocking, true);
  const int before = settings_of(blocking);
  const auto watch =
      reactor.watch_stream(blocking.get(), Interest::readable, [](const StreamEvent&) {});
  reactor.poll();
  EXPECT_EQ(settings_of(blocking), before);
}

}  // namespace
