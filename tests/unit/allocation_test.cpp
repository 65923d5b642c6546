// SPDX-License-Identifier: MIT
// The steady state allocates nothing: a turn, a report, a change of interest.
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/datagram.hpp>
#include <pollux/pollux.hpp>

#include "conformance/support/contestants.hpp"
#include "conformance/support/system.hpp"
#include "support/aligned_memory.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> deallocations{0};
std::atomic<std::uint64_t> allocated_bytes{0};

void* allocate(std::size_t size, std::size_t alignment) {
  ++allocations;
  allocated_bytes += size;
  void* const memory = pollux::support::allocate_aligned(size, alignment);
  if (memory == nullptr) throw std::bad_alloc{};
  return memory;
}

void deallocate(void* memory) {
  if (memory == nullptr) return;
  ++deallocations;
  pollux::support::free_aligned(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept try {
  return allocate(size, alignof(std::max_align_t));
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* memory) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  deallocate(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  deallocate(memory);
}

namespace pollux::support {

namespace {

constexpr int turns = 1000;

/// How many allocations `turn` makes once it has been made often enough.
template <class Turn>
std::uint64_t allocations_of(Turn turn) {
  for (int i = 0; i < 10; ++i) turn();
  const std::uint64_t before = allocations;
  for (int i = 0; i < turns; ++i) turn();
  return allocations - before;
}

class SteadyState : public testing::TestWithParam<std::string_view> {
 protected:
  Reactor reactor{GetParam()};
  Pair pair = make_pair(PairKind::tcp4);
  int calls = 0;
};

TEST_P(SteadyState, OfAReadableStreamAllocatesNothing) {
  StreamWatch watch = reactor.watch_stream(pair.local.get(), Interest::readable,
                                           [this](const StreamEvent& e) { calls += e.readable(); });
  write_bytes(pair.peer, "x");
  EXPECT_EQ(allocations_of([&] { reactor.run_once(); }), 0u);
  EXPECT_EQ(calls, turns + 10);
}

TEST_P(SteadyState, OfAReadinessWatchAllocatesNothing) {
  Watch watch = reactor.watch(pair.local.get(), Interest::readable | Interest::writable,
                              [this](Readiness r) { calls += r.writable(); });
  EXPECT_EQ(allocations_of([&] { reactor.run_once(); }), 0u);
  EXPECT_EQ(calls, turns + 10);
}

TEST_P(SteadyState, WithATextTracerAllocatesNothing) {
  std::size_t traced = 0;
  TextTracer tracer{[&](std::string_view line) { traced += line.size(); }};
  reactor.set_tracer(&tracer);
  StreamWatch watch = reactor.watch_stream(pair.local.get(), Interest::readable,
                                           [this](const StreamEvent& e) { calls += e.readable(); });
  write_bytes(pair.peer, "x");
  EXPECT_EQ(allocations_of([&] {
              reactor.run_once();
              watch.set_interest(Interest::none);
              watch.set_interest(Interest::readable);
            }),
            0u);
  EXPECT_EQ(calls, turns + 10);
  EXPECT_GT(traced, std::size_t{turns} * 60);
}

TEST_P(SteadyState, OfPingAndPongAllocatesNothing) {
  StreamWatch local =
      reactor.watch_stream(pair.local.get(), Interest::readable, [this](const StreamEvent&) {
        read_bytes(pair.local, 1);
        write_bytes(pair.local, "x");
        ++calls;
      });
  StreamWatch peer =
      reactor.watch_stream(pair.peer.get(), Interest::readable, [this](const StreamEvent&) {
        read_bytes(pair.peer, 1);
        write_bytes(pair.peer, "x");
      });
  write_bytes(pair.peer, "x");
  EXPECT_EQ(allocations_of([&] { reactor.run_once(); }), 0u);
  EXPECT_GT(calls, turns / 3);
}

TEST_P(SteadyState, WithInterestGoingBackAndForthAllocatesNothing) {
  StreamWatch watch = reactor.watch_stream(pair.local.get(), Interest::none,
                                           [this](const StreamEvent&) { ++calls; });
  write_bytes(pair.peer, "x");
  const std::uint64_t made = allocations_of([&] {
    for (int i = 0; i < 1000; ++i)
      watch.set_interest(i % 2 != 0 ? Interest::readable : Interest::writable);
    reactor.run_once();
    watch.set_interest(Interest::none);
    reactor.poll();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_EQ(calls, turns + 10);
}

TEST_P(SteadyState, WithTimersAllocatesNothing) {
  std::vector<Timer> timers;
  for (int i = 0; i < 100; ++i)
    timers.push_back(reactor.after(std::chrono::hours{i}, [this] { ++calls; }));
  const Timer repeats = reactor.every(std::chrono::nanoseconds{1}, [] {});
  const std::uint64_t made = allocations_of([&] {
    for (std::size_t i = 0; i < timers.size(); ++i) {
      timers[i].restart();
      if (i % 3 == 0) timers[i].cancel();
      if (i % 5 == 0) timers[i].restart(std::chrono::nanoseconds{0});
    }
    reactor.run_once();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_GE(calls, 20 * turns);
}

TEST_P(SteadyState, WithSignalsWatchedForAWhileAllocatesNothing) {
  const int signal = support::signal_of_ours();
  const std::uint64_t made = allocations_of([&] {
    const SignalWatch watch = reactor.on_signal(signal, [this](int) { ++calls; });
    support::raise_signal(signal);
    reactor.run_once();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_EQ(calls, turns + 10);
}

TEST_P(SteadyState, WithTasksPostedAllocatesNothing) {
  const Poster poster = reactor.poster();
  const std::uint64_t made = allocations_of([&] {
    for (int i = 0; i < 10; ++i) poster.post([this] { ++calls; });
    reactor.run_once();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_EQ(calls, 10 * (turns + 10));
}

TEST_P(SteadyState, OfFewTasksAndManyInTurnAllocatesNothing) {
  const std::uint64_t made = allocations_of([&] {
    for (int i = 0; i < 1000; ++i) reactor.post([this] { ++calls; });
    reactor.run_once();
    reactor.post([this] { ++calls; });
    reactor.run_once();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_EQ(calls, 1001 * (turns + 10));
}

TEST_P(SteadyState, OfFewTasksDoesNotKeepTheMemoryOfMany) {
  const auto kept = [] { return allocations - deallocations; };
  const auto post_and_run = [this](int tasks) {
    for (int i = 0; i < tasks; ++i) reactor.post([this] { ++calls; });
    reactor.run_once();
  };
  for (int i = 0; i < 10; ++i) post_and_run(1);
  const std::uint64_t before = kept();
  post_and_run(10'000);
  EXPECT_GT(kept(), before + 10);
  for (int i = 0; i < turns; ++i) post_and_run(1);
  EXPECT_EQ(kept(), before);
}

TEST_P(SteadyState, OfDatagramsAllocatesNothing) {
  Datagram server{reactor, Address{"127.0.0.1:0"}};
  Datagram client{reactor, Address::Family::ipv4};
  const Address to = server.address();
  server.on_message(
      [](Datagram& self, const Message& message) { self.send(message.bytes, message.from); });
  client.on_message([this](const Message&) { ++calls; });
  client.on_error([](const DatagramError&) {});
  int expected = 0;
  const std::uint64_t made = allocations_of([&] {
    for (int i = 0; i < 5; ++i) client.send("x", to);
    expected += 5;
    while (calls < expected) reactor.run_once();
  });
  EXPECT_EQ(made, 0u);
}

std::vector<std::string_view> backend_names() {
  std::vector<std::string_view> names;
  for (const Contestant& contestant : contestants()) names.push_back(contestant.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, SteadyState, testing::ValuesIn(backend_names()),
                         [](const auto& row) { return std::string{row.param}; });

TEST(Refusals, OfANumberThatIsNotOpenCostNoMemory) {
  for (const std::string_view name : backend_names()) {
    Reactor reactor{name};
    const std::uint64_t before = allocated_bytes;
    std::error_code error;
    EXPECT_FALSE(reactor.watch(
        10'000'000, Interest::readable, [](Readiness) {}, error));
    EXPECT_EQ(error, std::errc::bad_file_descriptor);
    EXPECT_LT(allocated_bytes - before, 1'000'000u) << name;
  }
}

TEST(SmallHandlers, LiveInPlace) {
  struct {
    std::uintptr_t a = 1, b = 2;  // and the reference: as large as three pointers, on any machine
  } numbers;
  int sum = 0;
  const std::uint64_t before = allocations;
  Handler<int> handler{[&sum, numbers](int more) { sum += static_cast<int>(numbers.a) + more; }};
  Handler<int> moved{std::move(handler)};
  const int argument = 41;
  moved.call(&argument);
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(sum, 42);
}

TEST(BigHandlers, AreAllocatedOnceAndNotMovedAgain) {
  struct {
    int numbers[100] = {1};
  } big;
  const std::uint64_t before = allocations;
  Handler<int> handler{[big](int) { EXPECT_EQ(big.numbers[0], 1); }};
  Handler<int> moved{std::move(handler)};
  EXPECT_EQ(allocations, before + 1);
}

}  // namespace

}  // namespace pollux::support
