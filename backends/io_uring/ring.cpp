// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <pollux/backend_support.hpp>

namespace pollux {

namespace {

constexpr unsigned requests = 512;
constexpr unsigned completions_kept = 2048;

/// All of these came with Linux 6.1 or before; an older kernel refuses what it does not know.
/// Requests are worked on in enter() and nowhere else: a signal-like interruption of whatever the
/// loop's thread is doing is never needed. The ring starts without an owner, so that a reactor can
/// be made by one thread and run by another.
constexpr unsigned setup_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
constexpr unsigned features =
    IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP | IORING_FEAT_POLL_32BITS;

}  // namespace

Ring::Ring(std::uint64_t& calls, std::error_code& error) noexcept
    : calls_{calls}, fork_count_{fork_count()} {
  io_uring_params parameters{};
  parameters.flags = setup_flags;
  parameters.cq_entries = completions_kept;
  const int result = io_uring_queue_init_params(requests, &ring_, &parameters);
  if (result < 0) {
    ring_.ring_fd = no_handle;
    error = {-result, std::system_category()};
    return;
  }
  if ((parameters.features & features) != features) error = refusal(std::errc::invalid_argument);
  // Each place of the queue holds the request of that place, always.
  for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
}

Ring::~Ring() {
  if (ring_.ring_fd == no_handle) return;
  // In the child of a fork the requests are the parent's.
  if (enabled_ && fork_count_ == fork_count()) {
    if (io_uring_sqe* all = request()) {
      io_uring_prep_cancel64(all, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
      flush();
    }
  }
  io_uring_queue_exit(&ring_);
}

io_uring_sqe* Ring::request() noexcept {
  io_uring_sqe* free = io_uring_get_sqe(&ring_);
  if (free == nullptr && call(0, 0, nullptr, 0) == 0) free = io_uring_get_sqe(&ring_);
  return free;
}

int Ring::enter(unsigned completions, Timeout timeout) noexcept {
  io_uring_getevents_arg argument{};
  __kernel_timespec spec{};
  if (completions == 0 || timeout.is_infinite())
    return call(completions, IORING_ENTER_GETEVENTS, nullptr, 0);
  // Added to the time of day by the kernel, which does not look whether that is too much.
  using namespace std::chrono;
  const nanoseconds duration = std::min<nanoseconds>(timeout.duration(), hours{24 * 365});
  const auto whole = floor<seconds>(duration);
  spec.tv_sec = whole.count();
  spec.tv_nsec = (duration - whole).count();
  argument.ts = reinterpret_cast<std::uintptr_t>(&spec);
  return call(completions, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
              sizeof argument);
}

int Ring::flush() noexcept {
  int error = 0;
  do {
    error = enter(0, Timeout::zero());
  } while (error == EINTR || (error == 0 && has_flag(IORING_SQ_TASKRUN)));
  return error;
}

bool Ring::has_work() const noexcept {
  return queued() != 0 || has_flag(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

int Ring::call(unsigned completions, unsigned flags, void* argument, std::size_t size) noexcept {
  if (!enabled_) {
    ++calls_;
    const int result = io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                         IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (result < 0) return -result;
    enabled_ = true;
  }
  io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
  ++calls_;
  const int result = io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), queued(), completions,
                                     flags, static_cast<sigset_t*>(argument), size);
  return result < 0 ? -result : 0;
}

}  // namespace pollux
