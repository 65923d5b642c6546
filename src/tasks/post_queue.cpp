// SPDX-License-Identifier: MIT
// Its memory orders are proved with post_queue.pml, which has to change with them.
#include "tasks/post_queue.hpp"

#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

namespace pollux::detail {

/// A page of tasks, less what an allocator adds.
struct PostQueue::Block {
  static constexpr std::size_t room = 4096 - 6 * sizeof(void*);

  Block* next = nullptr;
  std::byte* end = nullptr;  ///< of the tasks, once another block has been begun
  alignas(void*) std::byte tasks[room];
};

std::error_code PostQueue::error_of(Pushed pushed) noexcept {
  if (pushed == Pushed::closed) return Errc::reactor_closed;
  return pushed == Pushed::yes ? std::error_code{}
                               : system_error_code(std::errc::not_enough_memory);
}

PostQueue::Pushed PostQueue::put_in_new_block(AnyHandler&& task,
                                              std::unique_lock<std::mutex> lock) {
  if (wakeup_ == nullptr) return Pushed::closed;
  const bool was_empty = posted_.first == nullptr;
  if (!add_block()) return Pushed::no_memory;
  put(std::move(task));
  if (was_empty && wakeup_->mark(Wakeup::post)) wake_up(std::move(lock));
  return Pushed::yes;
}

void PostQueue::request_check() noexcept {
  std::unique_lock lock{mutex_};
  if (wakeup_ != nullptr && wakeup_->mark(Wakeup::check)) wake_up(std::move(lock));
}

void PostQueue::wake_up(std::unique_lock<std::mutex> lock) noexcept {
  // A loop that is woken may run at once, in this thread's stead: not into the lock.
  Wakeup& wakeup = *wakeup_;
  waking_.fetch_add(1, std::memory_order_relaxed);
  lock.unlock();
  wakeup.wake_up();
  waking_.fetch_sub(1, std::memory_order_release);
}

bool PostQueue::add_block() noexcept {
  static_assert(Block::room >= PackedHandler::max_size);
  Block* const block =
      spare_ != nullptr ? std::exchange(spare_, spare_->next) : new (std::nothrow) Block;
  if (block == nullptr) return false;
  block->next = nullptr;
  if (posted_.first == nullptr) {
    posted_.first = block;
  } else {
    posted_.last->end = posted_.end;
    posted_.last->next = block;
  }
  posted_.last = block;
  posted_.end = block->tasks;
  room_end_ = block->tasks + Block::room;
  return true;
}

void PostQueue::collect() noexcept {
  if (next_ != block_end_) return;
  Block* unneeded = nullptr;
  {
    const std::lock_guard lock{mutex_};
    // Spare since the last time: what was posted meanwhile could do without. So the memory of many
    // posts goes with the turns that have few, and where all have as many, nothing is allocated.
    if (spare_ != nullptr) unneeded = std::exchange(spare_, spare_->next);
    if (batch_.first != nullptr) {
      batch_.last->next = spare_;
      spare_ = batch_.first;
    }
    batch_ = std::exchange(posted_, {});
    room_end_ = nullptr;
  }
  delete unneeded;
  if (batch_.first != nullptr) begin_block(batch_.first);
}

/// The tasks of `blocks`, from that place in that block on.
std::size_t PostQueue::count(const Blocks& blocks, const Block* block, const std::byte* from) {
  std::size_t tasks = 0;
  while (block != nullptr) {
    const std::byte* const end = block == blocks.last ? blocks.end : block->end;
    for (; from != end; from += reinterpret_cast<const PackedHandler*>(from)->size()) ++tasks;
    if (block == blocks.last) break;
    block = block->next;
    from = block->tasks;
  }
  return tasks;
}

std::size_t PostQueue::waiting() const {
  const std::size_t taken = next_ != block_end_ ? count(batch_, block_, next_) : 0;
  const std::lock_guard lock{mutex_};
  if (wakeup_ == nullptr || posted_.first == nullptr) return taken;
  return taken + count(posted_, posted_.first, posted_.first->tasks);
}

std::size_t PostQueue::deliver(LoopContext& loop) {
  std::size_t called = 0;
  while (const Task task = next()) {
    ++called;
    ++loop.stats.posts;
    task->call();
    if (loop.stopped()) break;
  }
  return called;
}

void PostQueue::begin_block(Block* block) noexcept {
  block_ = block;
  next_ = block->tasks;
  block_end_ = block == batch_.last ? batch_.end : block->end;
}

void PostQueue::next_block() noexcept {
  if (block_ != batch_.last) return begin_block(block_->next);
  const std::lock_guard lock{mutex_};
  if (posted_.first == nullptr && wakeup_ != nullptr) wakeup_->consume(Wakeup::post);
}

void PostQueue::after_fork() noexcept {
  std::construct_at(&mutex_);
  waking_.store(0, std::memory_order_relaxed);
}

void PostQueue::close() noexcept {
  {
    const std::lock_guard lock{mutex_};
    wakeup_ = nullptr;
    room_end_ = posted_.end;
  }
  // For a moment. Yielding alone would keep out a thread that the scheduler holds in lower esteem.
  while (waking_.load(std::memory_order_acquire) != 0)
    std::this_thread::sleep_for(std::chrono::microseconds{10});
  // With the lock open: captures may post on their way out.
  do {
    while (next()) {
    }
    collect();
  } while (next_ != block_end_);
  while (spare_ != nullptr) delete std::exchange(spare_, spare_->next);
}

}  // namespace pollux::detail
