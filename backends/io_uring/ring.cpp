// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>

#include <pollux/backend_support.hpp>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace pollux::detail::io_uring {

namespace {

constexpr unsigned requests = 512;
constexpr unsigned completions_kept = 2048;

/// Linux 6.1 knows all of these, and an older one refuses what it does not know. DEFER_TASKRUN: the
/// kernel works on completions in enter() alone, and so never interrupts what a handler waits for.
/// R_DISABLED: the ring has no owner yet, so that a reactor can be made by one thread and run by
/// another.
constexpr unsigned setup_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;

/// Names all requests.
constexpr Request everybody{0xFFFFFFFF, 0};

std::uint64_t to_data(Request request) {
  return std::bit_cast<std::uint64_t>(request);
}

// liburing maps and unmaps a ring's memory by system calls of its own, which ThreadSanitizer does
// not see. It would take a ring at the address of another thread's former ring for memory of both.
#ifdef __SANITIZE_THREAD__
char unmapped;

void memory_is_mapped() {
  __tsan_acquire(&unmapped);
}

void memory_will_be_unmapped() {
  __tsan_release(&unmapped);
}
#else
void memory_is_mapped() {}

void memory_will_be_unmapped() {}
#endif

int unless_passing(int error) {
  return error == EINTR || error == ETIME || error == EAGAIN || error == EBUSY ? 0 : error;
}

}  // namespace

Ring::Ring(SystemCalls& calls, std::error_code& error) noexcept
    : calls_{calls}, fork_count_{fork_count()} {
  io_uring_params parameters{};
  parameters.flags = setup_flags;
  parameters.cq_entries = completions_kept;
  if (const int result = io_uring_queue_init_params(requests, &ring_, &parameters); result < 0) {
    ring_.ring_fd = no_handle;
    error = {-result, std::system_category()};
    return;
  }
  memory_is_mapped();
  // The places of the queue are used in turn, always.
  for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
}

Ring::~Ring() {
  if (ring_.ring_fd == no_handle) return;
  const int error = is_mine() ? end_all() : 0;
  // Somebody has closed the descriptor, and the number may be another file's by now.
  if (error == EBADF || error == EOPNOTSUPP) ring_.ring_fd = no_handle;
  memory_will_be_unmapped();
  io_uring_queue_exit(&ring_);
}

int Ring::end_all() noexcept {
  io_uring_sqe* all = request();
  if (all == nullptr) return 0;
  io_uring_prep_cancel64(all, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
  all->user_data = to_data(everybody);
  // Its answer is how many there are. One that is being woken at this moment ends a little later.
  std::optional<int> left;
  for (int tries = 0; left != 0 && tries < 100; ++tries) {
    if (const int error = flush()) return error;
    while (const auto completion = next()) {
      if (completion->request == everybody) {
        left = std::max(completion->result, 0);
      } else if (left && !completion->more && completion->request.number <= largest_number) {
        --*left;
      }
    }
  }
  return 0;
}

bool Ring::poll(Request named, NativeHandle handle, short events, bool multi) noexcept {
  io_uring_sqe* free = request();
  if (free == nullptr) return false;
  io_uring_prep_poll_add(free, handle, static_cast<unsigned short>(events));
  if (multi) free->len = IORING_POLL_ADD_MULTI;
  free->user_data = to_data(named);
  return true;
}

bool Ring::cancel(Request named) noexcept {
  io_uring_sqe* free = request();
  if (free == nullptr) return false;
  // Not IORING_OP_POLL_REMOVE: it fails (EALREADY) for a request that has been woken and not worked
  // on yet, which then goes on if what has woken it is gone.
  io_uring_prep_cancel64(free, to_data(named), 0);
  free->flags |= IOSQE_CQE_SKIP_SUCCESS;  // that would say no more than the request's completion
  free->user_data = to_data({named.slot, named.number | answer});
  ++cancels_;
  return true;
}

int Ring::enter(unsigned completions, Timeout timeout) noexcept {
  // What is cancelled completes, and must not end the wait.
  if (completions != 0) completions += cancels_;
  if (completions == 0 || timeout.is_infinite())
    return unless_passing(call(completions, 0, nullptr));
  return timed_call(completions, timeout.duration());
}

int Ring::flush() noexcept {
  return timed_call(std::max(cancels_, 1U), std::chrono::milliseconds{10});
}

bool Ring::is_mine() const noexcept {
  // The child of a fork has the ring's memory in common with its parent, whose requests they are.
  return enabled_ && fork_count_ == fork_count();
}

io_uring_sqe* Ring::request() noexcept {
  io_uring_sqe* free = io_uring_get_sqe(&ring_);
  if (free == nullptr && call(0, 0, nullptr) == 0) free = io_uring_get_sqe(&ring_);
  return free;
}

int Ring::timed_call(unsigned completions, std::chrono::nanoseconds duration) noexcept {
  using namespace std::chrono;
  // The kernel adds it to the time there is, and does not look whether that is too much.
  const auto spec =
      to_timespec<__kernel_timespec>(std::min<nanoseconds>(duration, hours{24 * 365}));
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<std::uintptr_t>(&spec);
  return unless_passing(call(completions, IORING_ENTER_EXT_ARG, &argument));
}

int Ring::call(unsigned completions, unsigned flags, io_uring_getevents_arg* argument) noexcept {
  const auto ring = static_cast<unsigned>(ring_.ring_fd);
  if (!enabled_) {
    ++calls_;
    const int result = io_uring_register(ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (result < 0) return -result;
    enabled_ = true;
  }
  io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
  ++calls_;
  // With EXT_ARG the signal mask's place is taken by the argument.
  void* place = argument;
  const int result = io_uring_enter2(ring, queued(), completions, flags | IORING_ENTER_GETEVENTS,
                                     static_cast<sigset_t*>(place), sizeof *argument);
  if (cancels_ != 0 && queued() == 0) cancels_ = 0;
  return result < 0 ? -result : 0;
}

}  // namespace pollux::detail::io_uring
