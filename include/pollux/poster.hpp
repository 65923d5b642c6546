// SPDX-License-Identifier: MIT
// The way into a loop from other threads.
#pragma once

#include <memory>
#include <system_error>

#include <pollux/export.hpp>
#include <pollux/handler.hpp>

namespace pollux {

namespace detail {

class PostQueue;

}  // namespace detail

/// Has functions run by a reactor's thread; made by Reactor::poster(). A copyable handle that may
/// outlive the reactor, for threads that cannot know whether it is still there. Any thread may use
/// it, each thread its own copy. As long as one exists, moved-from and default-made ones aside,
/// Reactor::run() goes on, since something may still be posted.
class POLLUX_EXPORT Poster {
 public:
  /// Refuses whatever is posted.
  Poster() noexcept = default;
  Poster(const Poster& other) noexcept;
  Poster(Poster&& other) noexcept = default;
  Poster& operator=(Poster other) noexcept {
    queue_.swap(other.queue_);
    return *this;
  }
  ~Poster();

  /// `task` is called once by the loop's thread, in the next turn: after what the same thread has
  /// posted before, and never from inside this call. A loop that sleeps is woken, by the first of
  /// many. Posting allocates only where the queue has to grow, or the task is larger than three
  /// pointers. Errc::reactor_closed when the reactor is gone, `not_enough_memory`; a task that is
  /// refused, or still waits when the reactor goes, is destroyed without being called.
  void post(Handler<void> task) const;
  void post(Handler<void> task, std::error_code& error) const;

 private:
  friend class Reactor;
  explicit Poster(std::shared_ptr<detail::PostQueue> queue) noexcept;

  std::shared_ptr<detail::PostQueue> queue_;
};

}  // namespace pollux
