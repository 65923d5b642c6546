// SPDX-License-Identifier: MIT
// W5: 100,000 timers that exist, as connections have them: armed and cancelled, fired, put off. In
// batches of one operation each, in random order, and a turn of the loop after each batch.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <poll.h>

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

inline constexpr std::size_t timer_count = 100'000;

/// The same for every loop: drawn from the same seed.
struct TimerPlan {
  std::vector<std::uint32_t> order = std::vector<std::uint32_t>(timer_count);
  std::vector<std::chrono::nanoseconds> delays;

  TimerPlan(std::chrono::nanoseconds least, std::chrono::nanoseconds most) {
    std::mt19937_64 random{5};
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    std::uniform_int_distribution<std::int64_t> delay{least.count(), most.count()};
    for (std::size_t i = 0; i < timer_count; ++i) delays.emplace_back(delay(random));
  }
};

/// Does a batch in each turn, from a handler, where loops have read the clock already.
template <class L, class Batch>
struct EachTurn {
  Meter& meter;
  L& loop;
  Batch batch;

  void ready(Ready) {
    if (meter.more(timer_count)) {
      batch(Clock::now());
    } else {
      loop.stop();
    }
  }
};

struct NotDue {
  void expired() { throw std::runtime_error{"a timer fired that was not due"}; }
};

/// All of them, told of by `owner`.
template <class L, class Owner>
std::vector<typename L::Timer> prepared_timers(L& loop, Owner& owner) {
  std::vector<typename L::Timer> timers(timer_count);
  for (auto& timer : timers) loop.prepare(timer, owner);
  return timers;
}

template <class L, class Batch>
void in_each_turn(Meter& meter, L& loop, Batch batch) {
  const Handle always_ready = make_eventfd(1);
  EachTurn<L, Batch> each_turn{meter, loop, batch};
  typename L::Watch watch;
  loop.watch(watch, always_ready.get(), each_turn);
  loop.run();
}

template <class L, class Make>
void insert_cancel(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  const TimerPlan plan{1s, 60s};
  L loop = make(Threads::one);
  meter.counts(loop);
  NotDue not_due;
  auto timers = prepared_timers(loop, not_due);
  in_each_turn(meter, loop, [&](Clock::time_point now) {
    for (std::size_t i = 0; i < timer_count; ++i) loop.arm(timers[i], now, plan.delays[i]);
    for (const std::uint32_t i : plan.order) loop.cancel(timers[i]);
  });
}

/// As in_each_turn(), with all timers armed for in a minute: `batch` has the loop, the timers,
/// their owner and the time.
template <class L, class Make, class Batch>
void beside_armed_timers(Meter& meter, Make make, Batch batch) {
  using namespace std::chrono_literals;
  L loop = make(Threads::one);
  meter.counts(loop);
  NotDue not_due;
  auto timers = prepared_timers(loop, not_due);
  for (auto& timer : timers) loop.arm(timer, Clock::now(), 60s);
  in_each_turn(meter, loop, [&](Clock::time_point now) { batch(loop, timers, not_due, now); });
}

template <class L, class Make>
void put_off(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  const TimerPlan plan{60s, 60s};
  beside_armed_timers<L>(meter, make, [&](L& loop, auto& timers, NotDue&, Clock::time_point now) {
    for (const std::uint32_t i : plan.order) loop.put_off(timers[i], now, 60s);
  });
}

/// As put_off(), by the time that the loop keeps for its turn.
template <class L, class Make>
void put_off_from_turn(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  const TimerPlan plan{60s, 60s};
  beside_armed_timers<L>(meter, make, [&](L& loop, auto& timers, NotDue&, Clock::time_point) {
    for (const std::uint32_t i : plan.order) loop.put_off_from_turn(timers[i], 60s);
  });
}

/// Of loops that make a timer for one use.
template <class L, class Make>
void make_drop(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  const TimerPlan plan{1s, 60s};
  beside_armed_timers<L>(meter, make, [&](L& loop, auto&, NotDue& owner, Clock::time_point) {
    for (std::size_t i = 0; i < timer_count; ++i) loop.make_and_drop(owner, plan.delays[i]);
  });
}

template <class L>
struct Countdown {
  Meter& meter;
  L& loop;
  std::size_t left = 0;

  void expired() {
    if (--left != 0) return;
    meter.pause();  // stopping is not part of it
    loop.stop();
  }
};

template <class L, class Make>
void fire(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  const TimerPlan plan{1ms, 50ms};
  L loop = make(Threads::one);
  meter.counts(loop);
  Countdown<L> countdown{meter, loop};
  auto timers = prepared_timers(loop, countdown);
  while (meter.more(timer_count)) {
    meter.pause();
    loop.turn();
    const Clock::time_point now = Clock::now();
    for (std::size_t i = 0; i < timer_count; ++i) loop.arm(timers[i], now, plan.delays[i]);
    countdown.left = timer_count;
    // Until all are due, also for those who count in milliseconds from a clock read late.
    while (Clock::now() < now + 55ms) ::poll(nullptr, 0, 5);
    meter.resume();
    loop.run();
    meter.resume();
  }
}

template <class L, class Make>
void register_timers(Suite& suite, const std::string& name, Make make) {
  suite.add({"W5.insert-cancel/" + name, Time::cpu,
             [make](Meter& meter) { insert_cancel<L>(meter, make); }});
  suite.add({"W5.fire/" + name, Time::cpu, [make](Meter& meter) { fire<L>(meter, make); }});
  suite.add({"W5.refresh/" + name, Time::cpu, [make](Meter& meter) { put_off<L>(meter, make); }});
  if constexpr (requires(L & loop, typename L::Timer & timer, NotDue & owner) {
                  loop.make_and_drop(owner, std::chrono::nanoseconds{});
                  loop.put_off_from_turn(timer, std::chrono::nanoseconds{});
                }) {
    suite.add(
        {"W5.make-drop/" + name, Time::cpu, [make](Meter& meter) { make_drop<L>(meter, make); }});
    suite.add({"W5.refresh-turn/" + name, Time::cpu,
               [make](Meter& meter) { put_off_from_turn<L>(meter, make); }});
  }
}

}  // namespace pollux::bench
