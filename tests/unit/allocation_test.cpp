// SPDX-License-Identifier: MIT
// The steady state allocates nothing: a turn, a report, a change of interest.
#include <algorithm>
#include <atomic>
#include <cstddef>
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
std::atomic<std::uint64_t> freed_bytes{0};

/// In front of the memory stands its size.
constexpr std::size_t front(std::size_t alignment) {
  return std::max(alignment, alignof(std::max_align_t));
}

void* allocate(std::size_t size, std::size_t alignment) {
  ++allocations;
  allocated_bytes += size;
  void* const memory = pollux::support::allocate_aligned(front(alignment) + size, alignment);
  if (memory == nullptr) throw std::bad_alloc{};
  *static_cast<std::size_t*>(memory) = size;
  return static_cast<std::byte*>(memory) + front(alignment);
}

void deallocate(void* memory, std::size_t alignment = alignof(std::max_align_t)) {
  if (memory == nullptr) return;
  void* const whole = static_cast<std::byte*>(memory) - front(alignment);
  ++deallocations;
  freed_bytes += *static_cast<std::size_t*>(whole);
  pollux::support::free_aligned(whole);
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
void operator delete(void* memory, std::align_val_t alignment) noexcept {
  deallocate(memory, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
  deallocate(memory, static_cast<std::size_t>(alignment));
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

TEST_P(SteadyState, OfStreamsAllocatesNothing) {
  Stream server{reactor, UniqueHandle{pair.local.release()}};
  Stream client{reactor, UniqueHandle{pair.peer.release()}};
  std::size_t echoed = 0;
  server.on_data([](Stream& self, Bytes bytes) { self.write(bytes); });
  client.on_data([&echoed](Bytes bytes) { echoed += bytes.size(); });
  const std::string large(16'384, 'x');
  std::size_t expected = 0;
  const std::uint64_t made = allocations_of([&] {
    for (const std::string_view message : {std::string_view{"short"}, std::string_view{large}}) {
      client.write(message);
      expected += message.size();
      while (echoed < expected) reactor.run_once();
    }
  });
  EXPECT_EQ(made, 0u);
}

/// What is held for each of `count` watches or streams of a reactor that `make` makes, which takes
/// the end of a connection. A byte has come to each, and nothing is under way any more.
template <class Make>
std::uint64_t bytes_held_for_each(std::string_view backend, std::size_t count, Make make) {
  const auto held = [] { return allocated_bytes - freed_bytes; };
  std::vector<Pair> pairs(count + 1);
  for (Pair& each : pairs) each = make_pair(cheapest_pair_kind());
  Reactor reactor{backend};
  int calls = 0;
  std::vector<decltype(make(reactor, pairs.front().local, calls))> made(count + 1);
  std::uint64_t before = 0;
  for (std::size_t i = 0; i <= count; ++i) {
    made[i] = make(reactor, pairs[i].local, calls);
    write_bytes(pairs[i].peer, "x");
    reactor.run_once();
    reactor.poll();
    if (i == 0) before = held();  // what there is once is there
  }
  EXPECT_EQ(calls, static_cast<int>(count) + 1);
  return (held() - before) / count;
}

TEST_P(SteadyState, OfIdleStreamsHoldsLittleMoreThanTheirWatches) {
  constexpr std::size_t count = 400;
  const std::uint64_t of_watches =
      bytes_held_for_each(GetParam(), count, [](Reactor& in, const Handle& handle, int& seen) {
        return in.watch_stream(handle.get(), Interest::readable,
                               [&handle, &seen](const StreamEvent&) {
                                 read_bytes(handle);
                                 ++seen;
                               });
      });
  const std::uint64_t of_streams =
      bytes_held_for_each(GetParam(), count, [](Reactor& in, Handle& handle, int& seen) {
        Stream stream{in, UniqueHandle{handle.release()}};
        stream.on_data([&seen](Stream& self, Bytes bytes) {
          self.write(bytes);
          ++seen;
        });
        stream.on_event([](Stream& self, const StreamEvent&) { self.shutdown_write(); });
        return stream;
      });
  // With the 64 bytes of a watch that is no more than 250; and 8 for a number of 64 bits (Windows).
  constexpr std::size_t of_a_wide_number = sizeof(NativeHandle) > sizeof(int) ? 8 : 0;
  EXPECT_LE(of_streams, of_watches + 250 - 64 + of_a_wide_number);
  EXPECT_GE(of_streams, of_watches + sizeof(void*));
}

TEST_P(SteadyState, OfRelaysWhoseEndsDoNotReadHoldsNoBytesOfThemWhereTheKernelHasThem) {
  if (!system_facts().moves_bytes_between_sockets)
    return RecordProperty("not_played", "what waits in a relay is in its memory here");
  constexpr std::size_t count = 20;
  std::vector<Handle> ends;
  std::vector<Relay> relays;
  for (std::size_t i = 0; i < count; ++i) {
    Pair first = make_pair(cheapest_pair_kind());
    Pair second = make_pair(cheapest_pair_kind());
    ends.push_back(std::move(first.peer));
    ends.push_back(std::move(second.peer));
    relays.emplace_back(Stream{reactor, UniqueHandle{first.local.release()}},
                        Stream{reactor, UniqueHandle{second.local.release()}});
  }
  const std::uint64_t before = allocated_bytes - freed_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    while (fill(ends[2 * i]) != 0) {
      for (int turn = 0; turn < 4; ++turn) reactor.poll();
    }
  }
  // Each has taken a read and more than that.
  for (const Relay& relay : relays) EXPECT_GT(relay.stats().from_first, 128 * 1024U);
  EXPECT_LT(allocated_bytes - freed_bytes, before + count * 16 * 1024);
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
