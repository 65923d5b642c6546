// SPDX-License-Identifier: MIT
// What its coming and going has to do with the loop is proved with post_queue.pml in src/tasks/.
#include <pollux/poster.hpp>

#include <system_error>
#include <utility>

#include "tasks/post_queue.hpp"

namespace pollux {

Poster::Poster(std::shared_ptr<detail::PostQueue> queue) noexcept : queue_{std::move(queue)} {
  queue_->add_poster();
}
Poster::Poster(const Poster& other) noexcept : queue_{other.queue_} {
  if (queue_) queue_->add_poster();
}
Poster::~Poster() {
  if (queue_) queue_->remove_poster();
}

namespace {

using Pushed = detail::PostQueue::Pushed;

Pushed push(detail::PostQueue* queue, Handler<void>&& task) {
  return queue != nullptr ? queue->push(std::move(task)) : Pushed::closed;
}

}  // namespace

void Poster::post(Handler<void> task) const {
  const Pushed pushed = push(queue_.get(), std::move(task));
  if (pushed != Pushed::yes)
    throw std::system_error{detail::PostQueue::error_of(pushed), "pollux::Poster::post"};
}

void Poster::post(Handler<void> task, std::error_code& error) const {
  error = detail::PostQueue::error_of(push(queue_.get(), std::move(task)));
}

}  // namespace pollux
