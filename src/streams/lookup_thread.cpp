// SPDX-License-Identifier: MIT
#include "streams/lookup_thread.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <pollux/backend_support.hpp>

#include "platform/signals_blocked.hpp"

namespace pollux::detail {

namespace {

/// How long it waits for memory before it answers again.
constexpr std::chrono::milliseconds without_memory{10};

}  // namespace

/// Guarded by its lock, but for what does not change.
struct LookupThread::Queue {
  explicit Queue(Resolve with) noexcept : resolve{with} {}

  const Resolve resolve;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<PendingLookup> lookups;
  std::thread thread;
  bool resolving = false;  ///< the first of them
  bool ended = false;
  std::shared_ptr<Queue> self;  ///< of one that is left where it is
};

LookupThread::LookupThread(Resolve resolve)
    : resolve_{resolve}, queue_{std::make_shared<Queue>(resolve)}, fork_count_{fork_count()} {}

LookupThread::~LookupThread() {
  if (fork_count_ != fork_count()) {
    leave_queue();
    return;
  }
  std::deque<PendingLookup> unanswered;
  std::thread thread;
  {
    const std::lock_guard lock{queue_->mutex};
    queue_->ended = true;
    unanswered.swap(queue_->lookups);
    thread = std::move(queue_->thread);
    // It has its share of the queue, and touches nothing else.
    if (thread.joinable() && queue_->resolving) thread.detach();
  }
  queue_->changed.notify_all();
  if (thread.joinable()) thread.join();
}

void LookupThread::add(PendingLookup lookup) {
  if (fork_count_ != fork_count()) {
    auto fresh = std::make_shared<Queue>(resolve_);
    leave_queue();
    queue_ = std::move(fresh);
    fork_count_ = fork_count();
  }
  std::error_code no_thread;
  {
    const std::lock_guard lock{queue_->mutex};
    start_thread(no_thread);
    if (!no_thread) queue_->lookups.push_back(std::move(lookup));
  }
  if (no_thread) {
    lookup.answer({no_thread, {}});
  } else {
    queue_->changed.notify_all();
  }
}

void LookupThread::start_thread(std::error_code& error) try {
  if (queue_->thread.joinable()) return;
  const platform::SignalsBlocked for_the_thread;
  queue_->thread = std::thread{[queue = queue_] { work(*queue); }};
} catch (const std::system_error& failure) {
  error = failure.code();
}

void LookupThread::work(Queue& queue) {
  std::unique_lock lock{queue.mutex};
  for (;;) {
    queue.changed.wait(lock, [&] { return queue.ended || !queue.lookups.empty(); });
    if (queue.ended) return;
    Resolved resolved;
    if (const PendingLookup& first = queue.lookups.front(); first.is_wanted()) {
      std::string host;
      report_memory(resolved.error, [&] { host = first.host(); });
      const std::uint16_t port = first.port();
      queue.resolving = true;
      lock.unlock();
      if (!resolved.error) resolved = queue.resolve(host.c_str(), port);
      lock.lock();
      queue.resolving = false;
      if (queue.ended) return;  // which has answered it
    }
    PendingLookup lookup = std::move(queue.lookups.front());
    queue.lookups.pop_front();
    lock.unlock();
    deliver(queue, std::move(lookup), std::move(resolved));
    lock.lock();
  }
}

/// Answers, when there is memory for that.
void LookupThread::deliver(Queue& queue, PendingLookup lookup, Resolved resolved) {
  while (!lookup.answer(std::move(resolved))) {
    std::unique_lock lock{queue.mutex};
    if (queue.changed.wait_for(lock, without_memory, [&] { return queue.ended; })) return;
  }
}

/// In the child of a fork there is no such thread, and nobody to release the lock if it had that.
void LookupThread::leave_queue() noexcept {
  queue_->self = queue_;
}

}  // namespace pollux::detail
