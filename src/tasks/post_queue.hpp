// SPDX-License-Identifier: MIT
// What other threads want the loop to run.
// Its memory orders are proved with post_queue.pml, which has to change with them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/loop_context.hpp"
#include "base/packed_handler.hpp"
#include "base/wakeup.hpp"

namespace pollux::detail {

/// Tasks, in the order in which they came. The one that finds the queue empty wakes the loop. They
/// lie in blocks, and stay where they were put until they have been called.
class PostQueue {
  struct Destroy {
    void operator()(PackedHandler* task) const noexcept { std::destroy_at(task); }
  };

 public:
  /// A task in its place, which it leaves with this.
  using Task = std::unique_ptr<PackedHandler, Destroy>;

  /// `wakeup` must live until close(), which must come. Null: closed from the beginning.
  explicit PostQueue(Wakeup* wakeup) noexcept : wakeup_{wakeup} {}
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

  /// What has come of a push. No error code, since one takes a call to its category.
  enum class Pushed : std::uint8_t { yes, closed, no_memory };
  static std::error_code error_of(Pushed pushed) noexcept;

  /// Any thread. If it is not pushed, the task is left alone.
  [[nodiscard]] Pushed push(AnyHandler&& task) {
    const std::size_t size = PackedHandler::size_of(task);
    std::unique_lock lock{mutex_};
    // An empty queue has no room, and neither has a closed one.
    if (static_cast<std::size_t>(room_end_ - posted_.end) < size)
      return put_in_new_block(std::move(task), std::move(lock));
    put(std::move(task));
    return Pushed::yes;
  }

  /// Any thread, which has one already, or the loop's.
  void add_poster() noexcept { posters_.fetch_add(1, std::memory_order_relaxed); }
  /// Any thread. The last wakes the loop, which may have waited for nothing else.
  void remove_poster() noexcept {
    if (posters_.fetch_sub(1, std::memory_order_release) == 1) request_check();
  }

  // All below: loop thread.

  /// Whether others may still post. What they posted before is seen by whoever has asked.
  bool has_posters() const noexcept { return posters_.load(std::memory_order_acquire) != 0; }

  /// Takes what has come so far, unless there is something left of what was taken before.
  void collect() noexcept;
  /// The next of those, or null. Until the last is taken, the request stays pending.
  Task next() noexcept {
    if (next_ == block_end_) return nullptr;
    Task task{reinterpret_cast<PackedHandler*>(next_)};
    next_ += task->size();
    if (next_ == block_end_) next_block();
    return task;
  }

  /// How many tasks wait, taken or not: all are counted, one by one.
  std::size_t waiting() const;
  /// Calls what collect() has taken: how many.
  std::size_t deliver(LoopContext& loop);

  /// In the child of a fork: no other thread is left that could hold the lock, or wake anybody.
  void after_fork() noexcept;

  /// Refuses everything from now on, and destroys what waits.
  void close() noexcept;

 private:
  struct Block;

  /// From the first to the last that has a task in it.
  struct Blocks {
    Block* first = nullptr;
    Block* last = nullptr;
    std::byte* end = nullptr;  ///< of the tasks in the last
  };

  void put(AnyHandler&& task) noexcept {
    posted_.end += (::new (static_cast<void*>(posted_.end)) PackedHandler{std::move(task)})->size();
  }
  Pushed put_in_new_block(AnyHandler&& task, std::unique_lock<std::mutex> lock);
  void request_check() noexcept;
  void wake_up(std::unique_lock<std::mutex> lock) noexcept;
  bool add_block() noexcept;
  void begin_block(Block* block) noexcept;
  void next_block() noexcept;
  static std::size_t count(const Blocks& blocks, const Block* block, const std::byte* from);

  mutable std::mutex mutex_;
  Wakeup* wakeup_;                   ///< guarded by mutex_
  Blocks posted_;                    ///< guarded by mutex_
  std::byte* room_end_ = nullptr;    ///< guarded by mutex_: of the block that is filled
  Block* spare_ = nullptr;           ///< guarded by mutex_
  std::atomic<unsigned> waking_{0};  ///< threads inside Wakeup::wake_up(); more only under mutex_
  std::atomic<std::size_t> posters_{0};

  Blocks batch_;
  Block* block_ = nullptr;
  std::byte* next_ = nullptr;
  std::byte* block_end_ = nullptr;
};

}  // namespace pollux::detail
