// SPDX-License-Identifier: MIT
// What std::latch is, by a lock: its wait is that of std::atomic, which loses notifications in the
// libstdc++ 12 of mingw-w64.
#pragma once

#include <condition_variable>
#include <mutex>

namespace pollux::support {

/// Any thread.
class Latch {
 public:
  explicit Latch(int count) : count_{count} {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;

  void count_down() {
    const std::lock_guard lock{mutex_};
    // With the lock: who waits may end the latch as soon as it has it.
    if (--count_ == 0) zero_.notify_all();
  }
  bool try_wait() {
    const std::lock_guard lock{mutex_};
    return count_ == 0;
  }
  void wait() {
    std::unique_lock lock{mutex_};
    zero_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  int count_;
};

}  // namespace pollux::support
