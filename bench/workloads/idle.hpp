// SPDX-License-Identifier: MIT
// W7: many idle eventfds and one that is always ready. An operation is one event, a read and a
// write. And what the many weigh.
#pragma once

#include <vector>

#include "../loop.hpp"
#include "../suite.hpp"
#include "changes.hpp"

namespace pollux::bench {

template <class L, class Make>
void idle(Meter& meter, std::size_t count, bool with_timer, Make make) {
  std::vector<Handle> handles(count);
  for (Handle& handle : handles) handle = make_eventfd();
  const Handle active = make_eventfd();
  L loop = make(Threads::one);
  meter.counts(loop);
  struct Busy {
    Meter& meter;
    L& loop;
    int handle;
    void ready(Ready) {
      drain_eventfd(handle);
      if (meter.more()) {
        signal_eventfd(handle);
      } else {
        loop.stop();
      }
    }
    void expired() { throw std::runtime_error{"a timer fired that was not due"}; }
  } busy{meter, loop, active.get()};
  Never never;
  typename L::Watch active_watch;
  std::vector<typename L::Watch> watches(count);
  for (std::size_t i = 0; i < count; ++i) {
    loop.watch(watches[i], handles[i].get(), never);
    // In the middle: as far from the start as from the end for who looks through all.
    if (i == count / 2) loop.watch(active_watch, active.get(), busy);
  }
  typename L::Timer timer;
  if (with_timer) {
    loop.prepare(timer, busy);
    loop.arm(timer, Clock::now(), std::chrono::hours{1});
  }
  signal_eventfd(active.get());
  loop.run();
}

/// Registers them all; what is timed is a registration, and what is weighed is whatever user memory
/// became resident by it: the watch, and what the loop keeps for it.
template <class L, class Make>
void memory(Meter& meter, std::size_t count, Make make) {
  std::vector<Handle> handles(count);
  for (Handle& handle : handles) handle = make_eventfd();
  Never never;
  while (meter.more(count)) {
    meter.pause();
    L loop = make(Threads::one);
    const double before = resident_bytes();
    meter.resume();
    std::vector<typename L::Watch> watches(count);
    for (std::size_t i = 0; i < count; ++i) loop.watch(watches[i], handles[i].get(), never);
    loop.turn();  // there are those who tell the kernel only now
    meter.pause();
    meter.report("bytes", (resident_bytes() - before) / static_cast<double>(count));
    for (auto& watch : watches) loop.unwatch(watch);
    loop.turn();
    meter.resume();
  }
}

template <class L, class Make>
void register_idle(Suite& suite, const std::string& name, Make make) {
  for (const auto& [workload, count, with_timer] :
       {std::tuple{"W7.idle1k/", std::size_t{1000}, false},
        std::tuple{"W7.timer1k/", std::size_t{1000}, true},
        std::tuple{"W7.idle10k/", std::size_t{10'000}, false},
        std::tuple{"W7.idle19k/", std::size_t{19'000}, false}}) {
    suite.add_if_fits(count, {workload + name, Time::cpu,
                              [make, count = count, with_timer = with_timer](Meter& meter) {
                                idle<L>(meter, count, with_timer, make);
                              }});
  }
  suite.add_if_fits(19'000, {"W7.memory/" + name, Time::cpu,
                             [make](Meter& meter) { memory<L>(meter, 19'000, make); }});
}

}  // namespace pollux::bench
