// SPDX-License-Identifier: MIT
// Threads that wait for each other. std::latch and the waits of std::atomic lose a notification now
// and then where libstdc++ 12 has no futex, as on Windows: it notifies without the lock that the
// waiting thread looks under.
#pragma once

#include <condition_variable>
#include <mutex>

namespace pollux::support {

/// A number that grows. Any thread.
class Progress {
 public:
  void reach(int value) {
    const std::lock_guard lock{mutex_};
    value_ = value;
    changed_.notify_all();
  }
  void add(int value) {
    const std::lock_guard lock{mutex_};
    value_ += value;
    changed_.notify_all();
  }
  bool has_reached(int value) const {
    const std::lock_guard lock{mutex_};
    return value_ >= value;
  }
  void wait_for(int value) const {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return value_ >= value; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  int value_ = 0;
};

/// As std::latch.
class Latch {
 public:
  explicit Latch(int count) : count_{count} {}

  void count_down() { done_.add(1); }
  bool try_wait() const { return done_.has_reached(count_); }
  void wait() const { done_.wait_for(count_); }

 private:
  Progress done_;
  int count_;
};

}  // namespace pollux::support
