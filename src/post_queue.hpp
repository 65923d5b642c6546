// SPDX-License-Identifier: MIT
// What other threads want the loop to run.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <system_error>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/handler.hpp>

namespace pollux::detail {

/// Tasks, in the order in which they came. A loop that sleeps is woken by the task that finds the
/// queue empty; one that is awake is not.
class PostQueue {
 public:
  /// `backend` is woken; it must live until close(). Null: closed from the beginning.
  explicit PostQueue(Backend* backend) noexcept : backend_{backend} {}

  /// Any thread. Errc::reactor_closed after close(). May throw std::bad_alloc.
  std::error_code push(AnyHandler&& task);

  // All below: loop thread.

  /// From now on tasks wake the backend. False if one is waiting already: do not sleep.
  bool about_to_sleep() noexcept {
    asleep_.store(true, std::memory_order_seq_cst);
    return taken_ == batch_.size() && !waiting_.load(std::memory_order_seq_cst);
  }
  void awake() noexcept { asleep_.store(false, std::memory_order_relaxed); }
  bool empty() const noexcept {
    return taken_ == batch_.size() && !waiting_.load(std::memory_order_relaxed);
  }

  /// Takes what has come so far, unless there is something left of what was taken before.
  void collect();
  /// The next of those.
  std::optional<AnyHandler> next() noexcept;

  /// In the child of a fork: no other thread is left that could hold the lock.
  void after_fork() noexcept;

  /// Refuses everything from now on, and destroys what waits.
  void close() noexcept;

 private:
  std::mutex mutex_;
  Backend* backend_;                ///< guarded by mutex_
  std::vector<AnyHandler> posted_;  ///< guarded by mutex_
  std::atomic<bool> waiting_{false};
  std::atomic<bool> asleep_{false};

  std::vector<AnyHandler> batch_;
  std::size_t taken_ = 0;
};

}  // namespace pollux::detail
