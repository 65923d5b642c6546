// SPDX-License-Identifier: MIT
// Many idle eventfds and one that is always ready: the time of an event, which is a read and a
// write, and of whatever the many cost.
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_support.hpp"

namespace pollux::bench {

namespace {

/// As many descriptors as this process may open without being asked for more rights.
rlim_t raise_descriptor_limit() {
  rlimit limit{};
  checked(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  checked(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

support::Handle make_eventfd() {
  return support::Handle{checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")};
}

template <class MakeLoop>
void idle(benchmark::State& state, std::size_t count, MakeLoop make_loop) {
  std::vector<support::Handle> idle_ones(count);
  for (support::Handle& handle : idle_ones) handle = make_eventfd();
  const support::Handle active = make_eventfd();
  auto loop = make_loop();
  auto never = [] { throw std::runtime_error{"an idle eventfd was reported"}; };
  std::uint64_t value = 1;
  auto signal = [&] { checked(::write(active.get(), &value, sizeof value), "write"); };
  auto signal_again = [&] {
    checked(::read(active.get(), &value, sizeof value), "read");
    // The first call, after one event to warm up, starts the clock, and the last one stops it.
    if (state.KeepRunning()) {
      signal();
    } else {
      loop.stop();
    }
  };
  for (const support::Handle& handle : idle_ones) loop.watch(handle.get(), never);
  loop.watch(active.get(), signal_again);  // last: who scans from the front finds it at the end
  signal();
  loop.run();
}

}  // namespace

void register_idle() {
  const rlim_t limit = raise_descriptor_limit();
  constexpr rlim_t others = 64;  // the loop's own, and whatever this process was started with
  for (const std::size_t count : {100u, 1000u, 10000u}) {
    const std::string topic = "Idle/" + std::to_string(count);
    if (count + others > limit) {
      leave_out(topic, "the limit of open files is " + std::to_string(limit));
      continue;
    }
    const auto workload = [count](benchmark::State& state, auto make_loop) {
      idle(state, count, make_loop);
    };
    register_backends<ReadinessLoop>(topic, workload);
    register_raw(topic, workload);
  }
}

}  // namespace pollux::bench
