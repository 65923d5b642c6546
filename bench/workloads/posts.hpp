// SPDX-License-Identifier: MIT
// W6: tasks from other threads. Timed by the clock on the wall, since waiting is part of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <future>
#include <thread>
#include <vector>

#include <sched.h>

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

/// The cores that this process may run on. Asked for before any thread is pinned.
inline const std::vector<std::size_t>& usable_cores() {
  static const std::vector<std::size_t> cores = [] {
    cpu_set_t set;
    checked(::sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    std::vector<std::size_t> found;
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) found.push_back(core);
    }
    return found;
  }();
  return cores;
}

/// Keeps this thread on one core, for as long as the object lives.
class Pinned {
 public:
  explicit Pinned(std::size_t core) {
    checked(::sched_getaffinity(0, sizeof before_, &before_), "sched_getaffinity");
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    checked(::sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

template <class Condition>
void spin_until(Condition condition) {
  static const bool alone = usable_cores().size() < 2;
  while (!condition()) {
    if (alone) std::this_thread::yield();
  }
}

/// A loop that runs in a thread of its own, on the last core that there is or on `core`.
template <class L>
class LoopThread {
 public:
  template <class Make>
  LoopThread(Make make, std::size_t core) {
    std::promise<L*> made;
    std::future<L*> future = made.get_future();
    thread_ = std::thread{[make, core, &made] {
      const Pinned pinned{core};
      L loop = make(Threads::many);
      made.set_value(&loop);
      loop.run();
    }};
    loop_ = future.get();
    stopping_.loop = loop_;
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread() {  // NOLINT(bugprone-exception-escape): nothing else would end the thread
    loop_->post(stopping_);
    thread_.join();
  }

  L& loop() { return *loop_; }

 private:
  struct Stopping {
    L* loop = nullptr;
    void posted() { loop->stop(); }
  };

  L* loop_ = nullptr;
  Stopping stopping_;
  std::thread thread_;
};

/// What is posted to a loop that sleeps, until it runs.
template <class L, class Make>
void wake(Meter& meter, Make make) {
  using namespace std::chrono_literals;
  struct Arrival {
    Clock::time_point when;
    std::atomic<bool> there = false;
    void posted() {
      when = Clock::now();
      there.store(true, std::memory_order_release);
    }
  } arrival;
  const Pinned pinned{usable_cores().front()};
  LoopThread<L> other{make, usable_cores().back()};
  while (meter.more()) {
    arrival.there.store(false, std::memory_order_relaxed);
    // Until it sleeps, which nobody can see: spinning, so that this thread stays awake.
    const auto long_enough = Clock::now() + (meter.unhurried() ? 2ms : 50us);
    spin_until([&] { return Clock::now() >= long_enough; });
    const auto start = Clock::now();
    other.loop().post(arrival);
    spin_until([&] { return arrival.there.load(std::memory_order_acquire); });
    meter.took(arrival.when - start);
  }
}

template <class L>
struct Back;

/// Posted to the other loop; posts back.
template <class L>
struct There {
  L& home;
  Back<L>* back = nullptr;

  void posted() { home.post(*back); }
};

template <class L>
struct Back {
  Meter& meter;
  L& home;
  L& other;
  There<L>& there;

  void posted() {
    if (meter.more()) {
      other.post(there);
    } else {
      home.stop();
    }
  }
};

/// Two loops that post to one another.
template <class L, class Make>
void round_trips(Meter& meter, bool one_core, Make make) {
  const std::size_t core = usable_cores().front();
  const Pinned pinned{core};
  LoopThread<L> other{make, one_core ? core : usable_cores().back()};
  L loop = make(Threads::many);
  There<L> there{loop};
  Back<L> back{meter, loop, other.loop(), there};
  there.back = &back;
  loop.post(back);
  loop.run();
}

inline constexpr std::uint64_t post_count = 100'000;

struct Counting {
  std::atomic<std::uint64_t> count = 0;
  void posted() {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
};

/// One thread posts as fast as it can, and the loop runs what it gets.
template <class L, class Make>
void posts(Meter& meter, Make make) {
  const Pinned pinned{usable_cores().front()};
  LoopThread<L> other{make, usable_cores().back()};
  Counting counting;
  std::uint64_t posted = 0;
  while (meter.more(post_count)) {
    for (std::uint64_t i = 0; i < post_count; ++i) other.loop().post(counting);
    posted += post_count;
    spin_until([&] { return counting.count.load(std::memory_order_acquire) == posted; });
  }
}

/// All is posted while the loop is inside a handler, and run after that.
template <class L, class Make>
void posts_to_busy(Meter& meter, Make make) {
  const Pinned pinned{usable_cores().front()};
  LoopThread<L> other{make, usable_cores().back()};
  struct Busy {
    std::atomic<bool> inside = false;
    std::atomic<bool> leave = false;
    void posted() {
      inside = true;
      spin_until([&] { return leave.load(); });
    }
  } busy;
  Counting counting;
  std::uint64_t posted = 0;
  while (meter.more(post_count)) {
    meter.pause();
    busy.inside = false;
    busy.leave = false;
    other.loop().post(busy);
    spin_until([&] { return busy.inside.load(); });
    meter.resume();
    for (std::uint64_t i = 0; i < post_count; ++i) other.loop().post(counting);
    posted += post_count;
    busy.leave = true;
    spin_until([&] { return counting.count.load(std::memory_order_acquire) == posted; });
  }
}

template <class L, class Make>
void register_posts(Suite& suite, const std::string& name, Make make) {
  suite.add({"W6.wake/" + name, Time::by_hand, [make](Meter& meter) { wake<L>(meter, make); }});
  suite.add({"W6.rtt-1core/" + name, Time::wall,
             [make](Meter& meter) { round_trips<L>(meter, true, make); }});
  if (usable_cores().size() > 1) {
    suite.add({"W6.rtt-2core/" + name, Time::wall,
               [make](Meter& meter) { round_trips<L>(meter, false, make); }});
  } else {
    suite.leave_out("W6.rtt-2core/" + name, "there is one core");
  }
  suite.add({"W6.posts/" + name, Time::wall, [make](Meter& meter) { posts<L>(meter, make); }});
  suite.add({"W6.post-busy/" + name, Time::wall,
             [make](Meter& meter) { posts_to_busy<L>(meter, make); }});
}

}  // namespace pollux::bench
