// SPDX-License-Identifier: MIT
// One ring of io_uring, for poll requests: two queues, and the one system call that serves both.
#pragma once

#include <bit>
#include <chrono>
#include <cstdint>
#include <optional>
#include <system_error>

#include <liburing.h>

#include <pollux/backend.hpp>

namespace pollux::detail::io_uring {

/// Names a request; comes back with what completes it.
struct Request {
  std::uint32_t slot = 0;
  std::uint32_t number = 0;

  friend constexpr bool operator==(const Request&, const Request&) = default;
};

struct Completion {
  Request request;
  int result = 0;     ///< poll(2)'s bits, or a negative errno
  bool more = false;  ///< the request goes on
};

/// The thread that first hands something over owns it: requests are that thread's, and end with it.
class Ring {
 public:
  static constexpr std::uint32_t largest_number = 0x7FFFFFFF;
  /// Added to the number of a request: what completes is not that, but a cancel of it, and in vain.
  static constexpr std::uint32_t answer = 0x80000000;

  /// `calls` counts the system calls, and outlives the ring.
  Ring(SystemCalls& calls, std::error_code& error) noexcept;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  /// Ends all requests, so that none keeps a file open; in quadratic time. (Where another thread
  /// owns the ring, the kernel does so a little later.)
  ~Ring();

  // Requests, for the next enter() to hand over. False if there is no room, and none to be had.
  bool poll(Request named, NativeHandle handle, short events, bool multi) noexcept;
  /// It completes all the same, if only with ECANCELED, and then holds its file no longer.
  bool cancel(Request named) noexcept;

  /// Hands over what was asked for, and waits for so many completions, not counting those of what
  /// is cancelled. 0, also for what is over at the next call (README.md), or the system's number:
  /// EEXIST if another thread owns the ring, EBADR if completions have been lost.
  int enter(unsigned completions, Timeout timeout) noexcept;
  /// Hands over what was asked for, and waits a moment for what is cancelled.
  int flush() noexcept;
  /// Whether requests can be made here at all: not in the child of a fork.
  bool is_mine() const noexcept;
  /// Whether enter() has something to do even if it is not to wait.
  bool has_work() const noexcept {
    return queued() != 0 || has_flag(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
  }

  /// Takes the oldest completion.
  std::optional<Completion> next() noexcept {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) return std::nullopt;
    const io_uring_cqe& oldest = ring_.cq.cqes[head & ring_.cq.ring_mask];
    const Completion taken{std::bit_cast<Request>(std::uint64_t{oldest.user_data}), oldest.res,
                           (oldest.flags & IORING_CQE_F_MORE) != 0};
    io_uring_smp_store_release(ring_.cq.khead, head + 1);
    return taken;
  }

 private:
  int end_all() noexcept;
  io_uring_sqe* request() noexcept;
  unsigned queued() const noexcept {
    return ring_.sq.sqe_tail - IO_URING_READ_ONCE(*ring_.sq.khead);
  }
  bool has_flag(unsigned flags) const noexcept {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & flags) != 0;
  }
  int timed_call(unsigned completions, std::chrono::nanoseconds duration) noexcept;
  int call(unsigned completions, unsigned flags, io_uring_getevents_arg* argument) noexcept;

  SystemCalls& calls_;
  ::io_uring ring_{};
  unsigned fork_count_;
  unsigned cancels_ = 0;  ///< of those that are to be handed over
  bool enabled_ = false;
};

}  // namespace pollux::detail::io_uring
