// SPDX-License-Identifier: MIT
// What other threads want the loop to run.
#pragma once

#include <mutex>
#include <optional>
#include <system_error>
#include <vector>

#include <pollux/handler.hpp>

#include "doorbell.hpp"

namespace pollux::detail {

/// Tasks, in the order in which they came. The one that finds the queue empty rings.
class PostQueue {
 public:
  /// `bell` must live until close(). Null: closed from the beginning.
  explicit PostQueue(Doorbell* bell) noexcept : bell_{bell} {}

  /// Any thread. Errc::reactor_closed after close(). May throw std::bad_alloc.
  std::error_code push(AnyHandler&& task);

  // All below: loop thread.

  /// Takes what has come so far, unless there is something left of what was taken before.
  void collect();
  /// The next of those. Until the last is taken, the bell stays rung.
  std::optional<AnyHandler> next() noexcept;

  /// In the child of a fork: no other thread is left that could hold the lock.
  void after_fork() noexcept;

  /// Refuses everything from now on, and destroys what waits.
  void close() noexcept;

 private:
  std::mutex mutex_;
  Doorbell* bell_;                  ///< guarded by mutex_
  std::vector<AnyHandler> posted_;  ///< guarded by mutex_

  std::vector<AnyHandler> batch_;
  std::size_t taken_ = 0;
};

}  // namespace pollux::detail
