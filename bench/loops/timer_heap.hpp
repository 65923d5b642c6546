// SPDX-License-Identifier: MIT
// A 4-ary heap of intrusive timers: what a careful server has, and what pollux's timers are
// measured against.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../loop.hpp"

namespace pollux::bench {

class TimerHeap {
 public:
  struct Timer {
    Clock::time_point deadline;
    std::uint32_t place = nowhere;
    void (*call)(void* self) = nullptr;
    void* self = nullptr;
  };

  bool empty() const { return entries_.empty(); }
  Clock::time_point next() const { return entries_.front().deadline; }

  void arm(Timer& timer, Clock::time_point deadline) {
    timer.deadline = deadline;
    if (timer.place == nowhere) {
      entries_.push_back({deadline, &timer});
      rise(entries_.size() - 1, {deadline, &timer});
    } else {
      settle(timer.place, {deadline, &timer});
    }
  }

  void cancel(Timer& timer) {
    if (timer.place == nowhere) return;
    const std::size_t place = timer.place;
    timer.place = nowhere;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (place < entries_.size()) settle(place, last);
  }

  /// Calls those that are due.
  void fire(Clock::time_point now) {
    while (!entries_.empty() && entries_.front().deadline <= now) {
      Timer& timer = *entries_.front().timer;
      cancel(timer);
      timer.call(timer.self);
    }
  }

 private:
  static constexpr std::uint32_t nowhere = 0xFFFFFFFF;

  struct Entry {
    Clock::time_point deadline;  // beside the pointer: comparing touches no timer
    Timer* timer;
  };

  void put(std::size_t place, const Entry& entry) {
    entries_[place] = entry;
    entry.timer->place = static_cast<std::uint32_t>(place);
  }

  void settle(std::size_t place, const Entry& entry) {
    if (place > 0 && entry.deadline < entries_[(place - 1) / 4].deadline) {
      rise(place, entry);
    } else {
      sink(place, entry);
    }
  }

  void rise(std::size_t place, const Entry& entry) {
    while (place > 0) {
      const std::size_t parent = (place - 1) / 4;
      if (entries_[parent].deadline <= entry.deadline) break;
      put(place, entries_[parent]);
      place = parent;
    }
    put(place, entry);
  }

  void sink(std::size_t place, const Entry& entry) {
    while (true) {
      const std::size_t first = 4 * place + 1;
      if (first >= entries_.size()) break;
      const std::size_t end = std::min(first + 4, entries_.size());
      std::size_t least = first;
      for (std::size_t child = first + 1; child < end; ++child) {
        if (entries_[child].deadline < entries_[least].deadline) least = child;
      }
      if (entries_[least].deadline >= entry.deadline) break;
      put(place, entries_[least]);
      place = least;
    }
    put(place, entry);
  }

  std::vector<Entry> entries_;
};

}  // namespace pollux::bench
