// SPDX-License-Identifier: MIT
// Tasks from other threads, for loops that bring a way to be woken, but no queue.
#pragma once

#include <mutex>
#include <vector>

namespace pollux::bench {

class TaskQueue {
 public:
  /// Whether the queue was empty, so that the loop has to be woken. `owner.posted()` will be
  /// called.
  template <class Owner>
  bool push(Owner& owner) {
    const Task task{[](void* self) { static_cast<Owner*>(self)->posted(); }, &owner};
    const std::lock_guard lock{mutex_};
    waiting_.push_back(task);
    return waiting_.size() == 1;
  }

  /// Loop thread.
  void run() {
    {
      const std::lock_guard lock{mutex_};
      taken_.swap(waiting_);
    }
    for (const Task& task : taken_) task.call(task.self);
    taken_.clear();
  }

 private:
  struct Task {
    void (*call)(void* self);
    void* self;
  };

  std::mutex mutex_;
  std::vector<Task> waiting_;
  std::vector<Task> taken_;
};

}  // namespace pollux::bench
