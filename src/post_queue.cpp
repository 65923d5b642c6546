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
  if (bell_ == nullptr) return Errc::reactor_closed;
  posted_.push_back(std::move(task));
  if (posted_.size() == 1) bell_->ring(Doorbell::post);
  return {};
}

void PostQueue::collect() {
  if (taken_ != batch_.size()) return;
  batch_.clear();
  taken_ = 0;
  const std::lock_guard lock{mutex_};
  batch_.swap(posted_);
}

std::optional<AnyHandler> PostQueue::next() noexcept {
  if (taken_ == batch_.size()) return std::nullopt;
  AnyHandler task = std::move(batch_[taken_++]);
  if (taken_ == batch_.size()) {
    const std::lock_guard lock{mutex_};
    if (posted_.empty()) bell_->take(Doorbell::post);
  }
  return task;
}

void PostQueue::after_fork() noexcept {
  std::construct_at(&mutex_);
}

void PostQueue::close() noexcept {
  // Destroyed when the lock is open again: captures may post on their way out.
  std::vector<AnyHandler> waiting;
  std::vector<AnyHandler> taken;
  const std::lock_guard lock{mutex_};
  bell_ = nullptr;
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
