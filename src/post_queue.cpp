// SPDX-License-Identifier: MIT
#include "post_queue.hpp"

#include <memory>
#include <system_error>
#include <utility>

#include <pollux/error.hpp>
#include <pollux/poster.hpp>

namespace pollux {

namespace detail {

std::error_code PostQueue::push(AnyHandler&& task) {
  const std::lock_guard lock{mutex_};
  if (backend_ == nullptr) return Errc::reactor_closed;
  posted_.push_back(std::move(task));
  if (posted_.size() > 1) return {};
  // Either this thread sees that the loop is about to sleep, or the loop sees that a task waits:
  // the two stores and the two loads are in one order for both threads.
  waiting_.store(true, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) backend_->wake();
  return {};
}

void PostQueue::collect() {
  if (taken_ != batch_.size() || !waiting_.load(std::memory_order_relaxed)) return;
  batch_.clear();
  taken_ = 0;
  const std::lock_guard lock{mutex_};
  batch_.swap(posted_);
  waiting_.store(false, std::memory_order_relaxed);
}

std::optional<AnyHandler> PostQueue::next() noexcept {
  if (taken_ == batch_.size()) return std::nullopt;
  return std::move(batch_[taken_++]);
}

void PostQueue::after_fork() noexcept {
  std::construct_at(&mutex_);
}

void PostQueue::close() noexcept {
  // Destroyed when the lock is open again: captures may post on their way out.
  std::vector<AnyHandler> waiting;
  std::vector<AnyHandler> taken;
  const std::lock_guard lock{mutex_};
  backend_ = nullptr;
  waiting.swap(posted_);
  taken.swap(batch_);
  taken_ = 0;
}

}  // namespace detail

Poster::Poster(std::shared_ptr<detail::PostQueue> queue) noexcept : queue_{std::move(queue)} {}

void Poster::post(Handler<void> task) const {
  std::error_code error;
  post(std::move(task), error);
  if (error) throw std::system_error{error, "pollux::Poster::post"};
}

void Poster::post(Handler<void> task, std::error_code& error) const {
  error = queue_ ? queue_->push(std::move(task)) : make_error_code(Errc::reactor_closed);
}

}  // namespace pollux
