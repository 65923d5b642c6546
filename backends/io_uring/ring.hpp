// SPDX-License-Identifier: MIT
// One ring: its two queues, and the one system call that serves both.
#pragma once

#include <cstdint>
#include <system_error>

#include <liburing.h>

#include <pollux/backend.hpp>

namespace pollux {

/// The thread that first enters it owns it: the requests are that thread's, and end with it.
class Ring {
 public:
  /// `calls` counts system calls, and outlives the ring.
  Ring(std::uint64_t& calls, std::error_code& error) noexcept;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  /// Ends all requests first, so that no file is kept open by one when this returns. (Not where
  /// another thread owns the ring: the kernel does it a little later, then.)
  ~Ring();

  /// A request to fill in, which the next enter() hands over. Null if there is no room, and none
  /// could be made.
  io_uring_sqe* request() noexcept;

  /// Hands over what was asked for and waits for so many completions. 0 or the system's number;
  /// EEXIST where another thread owns the ring.
  int enter(unsigned completions, Timeout timeout) noexcept;
  /// Hands over what was asked for, and sees to it that what it has ended is let go of.
  int flush() noexcept;

  /// Whether enter() has something to do, if it is not to wait.
  bool has_work() const noexcept;

  /// The oldest completion that was not taken yet; null if there is none.
  const io_uring_cqe* completion() const noexcept {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) return nullptr;
    return &ring_.cq.cqes[head & ring_.cq.ring_mask];
  }
  void take() noexcept { io_uring_smp_store_release(ring_.cq.khead, *ring_.cq.khead + 1); }

  NativeHandle handle() const noexcept { return ring_.ring_fd; }

 private:
  unsigned queued() const noexcept {
    return ring_.sq.sqe_tail - IO_URING_READ_ONCE(*ring_.sq.khead);
  }
  bool has_flag(unsigned flag) const noexcept {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & flag) != 0;
  }
  int call(unsigned completions, unsigned flags, void* argument, std::size_t size) noexcept;

  std::uint64_t& calls_;
  io_uring ring_{};
  unsigned fork_count_;
  bool enabled_ = false;
};

}  // namespace pollux
