// SPDX-License-Identifier: MIT
// The waits of pollux/asio_lifecycle.hpp as Asio's operations: completion tokens, executors,
// allocators, several threads, and a context that goes first.
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <asio/any_io_executor.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#if __has_include(<asio/deferred.hpp>)
#include <asio/deferred.hpp>
#else
#include <asio/experimental/deferred.hpp>
#endif

#include "conformance/support/system.hpp"
#include "waiting_socket.hpp"

namespace {

using namespace pollux::support;
using namespace std::chrono_literals;
using pollux::asio::async_wait_end_of_stream;
using pollux::asio::async_wait_hangup;
using pollux::asio::async_wait_peer_closed;
#if __has_include(<asio/deferred.hpp>)
using asio::deferred;
#else
using asio::experimental::deferred;
#endif

struct LifecycleToken : testing::Test, WaitingSocket {
  LifecycleToken() : WaitingSocket{PairKind::tcp4} {}
};

TEST_F(LifecycleToken, UseFutureReportsToAThreadThatDoesNotRunTheContext) {
  auto work = asio::make_work_guard(context);
  std::thread loop{[&] { context.run(); }};
  for (int i = 0; i < 100; ++i) {
    Pair pair = make_pair(PairKind::unix_stream);
    asio::local::stream_protocol::socket end{context, asio::local::stream_protocol{},
                                             pair.local.release()};
    if (i % 2 == 0) pair.peer.close();  // before the start, or after it on the other thread
    auto delivered = async_wait_peer_closed(end, asio::use_future);
    pair.peer.close();
    EXPECT_EQ(delivered.wait_for(5s), std::future_status::ready);
    EXPECT_NO_THROW(delivered.get());
  }
  work.reset();
  loop.join();
}

TEST_F(LifecycleToken, DeferredStartsWhenItIsCalled) {
  auto wait = async_wait_peer_closed(socket, deferred);
  shutdown_write(peer);
  EXPECT_EQ(settle(), 0u);
  Result result;
  std::move(wait)(into(result));
  EXPECT_EQ(until(result), success);
}

TEST_F(LifecycleToken, OfAHandlerThatCanOnlyBeMovedIsMoved) {
  Result result;
  shutdown_write(peer);
  async_wait_peer_closed(socket, [&result, only = std::make_unique<int>(7)](std::error_code error) {
    EXPECT_EQ(*only, 7);
    result = error;
  });
  EXPECT_EQ(until(result), success);
}

TEST_F(LifecycleToken, OnAStrandRunsOnIt) {
  auto strand = asio::make_strand(context);
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<asio::local::stream_protocol::socket>> sockets;
  int delivered = 0;  // not atomic: the strand is what keeps the threads apart
  for (int i = 0; i < 50; ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    sockets.push_back(std::make_unique<asio::local::stream_protocol::socket>(
        context, asio::local::stream_protocol{}, pairs.back().local.release()));
    for (int twice = 0; twice < 2; ++twice) {
      async_wait_end_of_stream(*sockets.back(),
                               asio::bind_executor(strand, [&](const std::error_code& error) {
                                 EXPECT_FALSE(error);
                                 EXPECT_TRUE(strand.running_in_this_thread());
                                 ++delivered;
                               }));
    }
  }
  std::thread threads[] = {std::thread{[&] { context.run(); }},
                           std::thread{[&] { context.run(); }}};
  for (Pair& pair : pairs) {
    write_bytes(pair.peer, "x");
    read_bytes(pair.peer);
    pair.peer.close();
  }
  // Each socket belongs to the strand by now.
  for (auto& socket_of : sockets) {
    asio::post(strand, [&] {
      std::array<char, 8> bytes;
      std::error_code error;
      socket_of->read_some(asio::buffer(bytes), error);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(delivered, 100);
}

TEST_F(LifecycleToken, OnThreadsWithoutAStrandCompletesOnce) {
  asio::thread_pool pool{2};
  std::atomic<int> delivered{0};
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<asio::local::stream_protocol::socket>> sockets;
  for (int i = 0; i < 50; ++i) {
    pairs.push_back(make_pair(PairKind::unix_stream));
    sockets.push_back(std::make_unique<asio::local::stream_protocol::socket>(
        pool, asio::local::stream_protocol{}, pairs.back().local.release()));
    // A hang-up ends the wait on the socket and the one on the wake handle together.
    async_wait_hangup(*sockets.back(), [&](const std::error_code& error) {
      EXPECT_FALSE(error);
      ++delivered;
    });
    pairs.back().peer.close();
  }
  pool.join();
  EXPECT_EQ(delivered, 50);
}

TEST_F(LifecycleToken, WorksOnAnyExecutor) {
  Pair pair = make_pair(PairKind::unix_stream);
  using Any = asio::basic_stream_socket<asio::local::stream_protocol, asio::any_io_executor>;
  Any any{asio::any_io_executor{asio::make_strand(context)}, asio::local::stream_protocol{},
          pair.local.release()};
  Result result;
  async_wait_peer_closed(any, into(result));
  pair.peer.close();
  EXPECT_EQ(until(result), success);
}

/// Counts what is allocated and not given back; the last of so many allocations fails.
template <class T>
struct Counting {
  using value_type = T;

  explicit Counting(int& count, int& until_one_fails) noexcept
      : live{&count}, left{&until_one_fails} {}
  template <class U>
  Counting(const Counting<U>& other) noexcept : live{other.live}, left{other.left} {}  // NOLINT
  T* allocate(std::size_t n) {
    if (--*left == 0) throw std::bad_alloc{};
    ++*live;
    return std::allocator<T>{}.allocate(n);
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    --*live;
    std::allocator<T>{}.deallocate(memory, n);
  }
  template <class U>
  bool operator==(const Counting<U>& other) const noexcept {
    return live == other.live;
  }

  int* live;
  int* left;
};

struct CountingHandler {
  int& live;
  int& left;
  Result& result;

  using allocator_type = Counting<void>;
  allocator_type get_allocator() const noexcept { return allocator_type{live, left}; }
  void operator()(const std::error_code& error) const {
    EXPECT_EQ(live, 0) << "memory is given back before the handler is called";
    EXPECT_FALSE(result) << "called twice";
    result = error;
  }
};

TEST_F(LifecycleToken, WithAnAllocatorTakesItsMemoryFromThere) {
  int live = 0;
  int left = 0;
  Result result;
  asio::cancellation_signal signal;
  async_wait_peer_closed(
      socket, asio::bind_cancellation_slot(signal.slot(), CountingHandler{live, left, result}));
  EXPECT_GT(live, 0);
  shutdown_write(peer);
  EXPECT_EQ(until(result), success);
  EXPECT_EQ(live, 0);
}

TEST_F(LifecycleToken, WithoutMemoryOnTheWaySaysSoAndOnce) {
  const std::size_t before = open_descriptors();
  bool all_succeeded = false;
  for (int nth = 1; !all_succeeded && !HasFailure(); ++nth) {
    SCOPED_TRACE(nth);
    WaitingSocket own{PairKind::tcp4};
    write_bytes(own.peer, "unread");
    int live = 0;
    int left = nth;
    Result result;
    bool threw = false;
    try {
      async_wait_end_of_stream(own.socket, CountingHandler{live, left, result});
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    own.settle(2ms);
    shutdown_write(own.peer);
    own.settle(5ms);
    std::error_code last;
    own.read_all(last);
    if (threw) {
      own.settle(5ms);
      EXPECT_FALSE(result) << "thrown, and told as well";
    } else if (own.until(result) != success) {
      EXPECT_EQ(result, std::make_error_code(std::errc::not_enough_memory));
    }
    all_succeeded = result == success && left > 0;
    EXPECT_EQ(live, 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(LifecycleWaits, OfAContextThatGoesFirstAreDestroyedUncalled) {
  const std::size_t before = open_descriptors();
  const auto held = std::make_shared<int>(0);
  asio::cancellation_signal signal;
  {
    WaitingSocket own{PairKind::tcp4};
    const auto never = [held](const std::error_code&) { ADD_FAILURE(); };
    async_wait_peer_closed(own.socket, never);
    async_wait_hangup(own.socket, asio::bind_cancellation_slot(signal.slot(), never));
    own.settle(5ms);
    EXPECT_GT(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
  signal.emit(asio::cancellation_type::total);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(LifecycleWaits, GiveTheirDescriptorBackWhenTheyAreOver) {
  WaitingSocket own{PairKind::unix_stream};
  const std::size_t before = open_descriptors();
  Result result;
  async_wait_peer_closed(own.socket, own.into(result));
  own.settle(5ms);
  own.socket.cancel();
  own.until(result);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
