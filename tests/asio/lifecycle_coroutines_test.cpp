// SPDX-License-Identifier: MIT
// The waits of pollux/asio_lifecycle.hpp in coroutines, where the compiler and Asio have them.
#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include <asio/detail/config.hpp>
#if defined(ASIO_HAS_CO_AWAIT)

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "waiting_socket.hpp"

namespace {

using namespace pollux::support;
using namespace std::chrono_literals;
using pollux::asio::async_wait_end_of_stream;
using pollux::asio::async_wait_hangup;
using pollux::asio::async_wait_peer_closed;

struct LifecycleCoroutine : testing::Test, WaitingSocket {
  LifecycleCoroutine() : WaitingSocket{PairKind::tcp4} {}
};

// The documentation shows this one.
asio::awaitable<bool> answer(Socket& client, asio::steady_timer& upstream) {
  using namespace asio::experimental::awaitable_operators;
  const auto first = co_await (upstream.async_wait(asio::use_awaitable) ||
                               pollux::asio::async_wait_peer_closed(client, asio::use_awaitable));
  co_return first.index() == 0;  // or else the client has gone, and nobody waits for the answer
}

TEST_F(LifecycleCoroutine, ThePeersFinCancelsTheWorkForIt) {
  asio::steady_timer upstream{context, 1h};
  std::optional<bool> answered;
  asio::co_spawn(context, answer(socket, upstream), [&](std::exception_ptr failure, bool value) {
    EXPECT_FALSE(failure);
    answered = value;
  });
  settle();
  EXPECT_FALSE(answered);
  write_bytes(peer, "never mind");
  shutdown_write(peer);
  context.restart();
  context.run();
  EXPECT_EQ(answered, false);
}

TEST_F(LifecycleCoroutine, TheWorkCancelsTheWait) {
  asio::steady_timer upstream{context, 5ms};
  std::optional<bool> answered;
  asio::co_spawn(context, answer(socket, upstream),
                 [&](std::exception_ptr, bool value) { answered = value; });
  context.run();
  EXPECT_EQ(answered, true);
}

TEST_F(LifecycleCoroutine, AFailureIsThrown) {
  Result thrown;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        try {
          co_await async_wait_end_of_stream(socket, asio::use_awaitable);
        } catch (const std::system_error& failure) {
          thrown = failure.code();
        }
      },
      [](std::exception_ptr failure) { EXPECT_FALSE(failure); });
  settle();
  reset_connection(peer);
  EXPECT_EQ(until(thrown), make_error_code(asio::error::connection_reset));
}

TEST_F(LifecycleCoroutine, NeedsNoTokenWhereUseAwaitableIsTheDefault) {
  auto own = asio::use_awaitable_t<>::as_default_on(std::move(socket));
  bool ended = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        co_await async_wait_peer_closed(own);
        co_await async_wait_end_of_stream(own);
        own.shutdown(own.shutdown_send);
        co_await async_wait_hangup(own);
        ended = true;
      },
      [](std::exception_ptr failure) { EXPECT_FALSE(failure); });
  shutdown_write(peer);
  context.run();
  EXPECT_TRUE(ended);
}

TEST(LifecycleCoroutines, OfAContextThatGoesFirstAreDestroyed) {
  const auto held = std::make_shared<int>(0);
  {
    WaitingSocket own{PairKind::tcp4};
    asio::co_spawn(
        own.context,
        [](Socket its_own, std::shared_ptr<int>) -> asio::awaitable<void> {
          co_await async_wait_end_of_stream(its_own, asio::use_awaitable);
        }(std::move(own.socket), held),
        asio::detached);
    own.settle(5ms);
    EXPECT_GT(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace

#endif
