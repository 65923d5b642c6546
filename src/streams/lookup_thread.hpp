// SPDX-License-Identifier: MIT
// A thread for calls that wait: what SystemResolver is inside.
#pragma once

#include <cstdint>
#include <memory>
#include <system_error>

#include <pollux/resolver.hpp>

namespace pollux::detail {

class LookupThread {
 public:
  /// What it calls, in its thread: may wait.
  using Resolve = Resolved (*)(const char* host, std::uint16_t port) noexcept;

  explicit LookupThread(Resolve resolve);
  LookupThread(const LookupThread&) = delete;
  LookupThread& operator=(const LookupThread&) = delete;
  /// Waits for nothing that `Resolve` does.
  ~LookupThread();

  /// Any thread. May throw std::bad_alloc; answers it with an error if there is no thread.
  void add(PendingLookup lookup);

 private:
  struct Queue;

  void start_thread(std::error_code& error);
  void leave_queue() noexcept;
  static void work(Queue& queue);
  static void deliver(Queue& queue, PendingLookup lookup, Resolved resolved);

  Resolve resolve_;
  std::shared_ptr<Queue> queue_;  ///< the thread has it too
  unsigned fork_count_;
};

}  // namespace pollux::detail
