// SPDX-License-Identifier: MIT
// Signals as POSIX has them: one signal handler for the whole process, which leaves word for every
// reactor that watches the signal. docs/design.md says why, and why nobody is called who is gone.
// The memory orders are proved with signals.pml, which has to change with them.
#include "platform/signals.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include <pthread.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

const int child_signal = SIGCHLD;
const bool child_signal_is_of_the_system = true;

namespace {

// Anything else would take a lock, which a signal handler must not.
static_assert(std::atomic<bool>::is_always_lock_free &&
              std::atomic<unsigned>::is_always_lock_free &&
              std::atomic<SignalTarget*>::is_always_lock_free);

/// What pollux has replaced, for as long as somebody watches the signal.
struct Disposition {
  unsigned reactors = 0;
  struct sigaction before {};
};

std::atomic<SignalTarget*> all_targets{nullptr};  ///< only ever grows, at its head

std::mutex mutex;  // For what follows, and for who owns which target. No signal handler takes it.
std::array<Disposition, signal_numbers> dispositions;

// The fork_count() of the process to which the lock, and what the targets were handed, belong.
std::atomic<unsigned> handed_process{0};
std::atomic<unsigned> locking_process{0};
sigset_t mask_before_fork;

std::size_t index_of(int signo) {
  return static_cast<std::size_t>(signo);
}

/// What the signal handler does for one reactor.
void hand_over(SignalTarget& target, std::size_t signal) {
  target.raised[signal].exchange(true, std::memory_order_release);
  // The first request wakes the loop, or has woken it.
  if (target.any_raised.exchange(true, std::memory_order_release)) return;
  if (target.wakes.load(std::memory_order_relaxed) == fork_count()) {
    target.wakeup->request(Wakeup::signal);
  } else {
    target.wakeup->mark(Wakeup::signal);
  }
}

void forget_raised(SignalTarget& target) {
  target.any_raised.store(false, std::memory_order_relaxed);
  for (std::atomic<bool>& raised : target.raised) raised.store(false, std::memory_order_relaxed);
}

/// In the child of a fork, once: what was raised before was the parent's. With signals blocked.
void forget_the_parents() noexcept {
  const unsigned process = fork_count();
  if (handed_process.exchange(process, std::memory_order_acq_rel) == process) return;
  for (SignalTarget* target = all_targets.load(std::memory_order_relaxed); target != nullptr;
       target = target->next) {
    target->inside.store(0, std::memory_order_relaxed);  // those threads are not here
    forget_raised(*target);
  }
}

bool is_the_parents(const std::atomic<unsigned>& process) noexcept {
  return process.load(std::memory_order_acquire) != fork_count();
}

/// The signal handler.
void on_signal(int signo) {
  const int saved_errno = errno;
  if (is_the_parents(handed_process)) forget_the_parents();
  const std::size_t signal = index_of(signo);
  for (SignalTarget* target = all_targets.load(std::memory_order_acquire); target != nullptr;
       target = target->next) {
    // Looked at before, so that close() does not wait for those who come after it, and again when
    // it can see us: either it does, and waits, or we see that nobody is there.
    if (target->watches[signal].load(std::memory_order_relaxed) == 0) continue;
    target->inside.fetch_add(1, std::memory_order_seq_cst);
    if (target->watches[signal].load(std::memory_order_seq_cst) != 0) hand_over(*target, signal);
    target->inside.fetch_sub(1, std::memory_order_release);
  }
  errno = saved_errno;
}

/// What fork handlers do, in a child that was made without them.
void make_good() noexcept {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  forget_the_parents();
  // Whoever held it is not here.
  if (locking_process.exchange(fork_count(), std::memory_order_acq_rel) != fork_count())
    std::construct_at(&mutex);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::unique_lock<std::mutex> locked() noexcept {
  if (is_the_parents(locking_process)) make_good();
  return std::unique_lock{mutex};
}

// A fork in the middle of a change here, or of a signal handler, would leave the child with halves
// of both. Signals are blocked, so that none is delivered to both parent and child: what comes
// before the fork is the parent's, what comes after it is whose it is.
void before_fork() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  locked().release();
  mask_before_fork = before;
}

void after_fork_in_parent() {
  const sigset_t before = mask_before_fork;
  mutex.unlock();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void after_fork_in_child() {
  forget_the_parents();
  locking_process.store(fork_count(), std::memory_order_relaxed);
  after_fork_in_parent();
}

/// Whether there is any sense in it. What the thread's own fault raises comes again and again when
/// the signal handler returns, and never gets to a loop. (SIGABRT ends the process whatever its
/// handler does, if it was abort() that raised it; others may send it.)
bool can_be_watched(int signo) {
  switch (signo) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
      return false;
    default:
      return signo > 0 && index_of(signo) < signal_numbers;
  }
}

/// One that is free, or a new one; null without memory.
SignalTarget* take_target(Wakeup& wakeup) {
  SignalTarget* target = all_targets.load(std::memory_order_relaxed);
  while (target != nullptr && target->wakeup != nullptr) target = target->next;
  const bool is_new = target == nullptr;
  if (is_new) target = new (std::nothrow) SignalTarget;
  if (target == nullptr) return nullptr;
  target->wakeup = &wakeup;
  target->wakes.store(fork_count(), std::memory_order_relaxed);
  if (is_new) {
    target->next = all_targets.load(std::memory_order_relaxed);
    all_targets.store(target, std::memory_order_release);
  }
  return target;
}

std::error_code take_over(int signo, Disposition& disposition, SystemCalls& calls) {
  struct sigaction action {};
  action.sa_handler = &on_signal;
  action.sa_flags = SA_RESTART | SA_ONSTACK;  // what is interrupted may have little stack
  ::sigfillset(&action.sa_mask);  // a signal handler that jumps out of this one would leave it open
  ++calls;
  return ::sigaction(signo, &action, &disposition.before) == 0 ? std::error_code{}
                                                               : error_code(errno);
}

void give_back(int signo, const Disposition& disposition, SystemCalls& calls) {
  struct sigaction now {};
  ++calls;
  // Somebody else's by now is left alone.
  if (::sigaction(signo, nullptr, &now) != 0 || now.sa_handler != &on_signal) return;
  ++calls;
  ::sigaction(signo, &disposition.before, nullptr);
}

/// The last watch of `target`'s owner ends. The kernel's disposition is changed first: what is
/// raised from then on is for whoever was there before, and nothing falls between the two.
void drop(SignalTarget& target, std::size_t signal, SystemCalls& calls) {
  Disposition& disposition = dispositions[signal];
  if (--disposition.reactors == 0) give_back(static_cast<int>(signal), disposition, calls);
  target.watches[signal].store(0, std::memory_order_seq_cst);
}

}  // namespace

std::error_code SignalInbox::subscribe(int signo) noexcept {
  if (!can_be_watched(signo)) return system_error_code(std::errc::invalid_argument);
  static const int forks = [] {
    handed_process.store(fork_count(), std::memory_order_relaxed);
    locking_process.store(fork_count(), std::memory_order_relaxed);
    return ::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
  }();
  static_cast<void>(forks);
  const std::unique_lock lock = locked();
  if (target_ == nullptr) target_ = take_target(wakeup_);
  if (target_ == nullptr) return system_error_code(std::errc::not_enough_memory);
  // Before the kernel's disposition is changed, so that nothing falls between the two here either.
  std::atomic<unsigned>& watches = target_->watches[index_of(signo)];
  if (watches.fetch_add(1, std::memory_order_release) != 0) return {};
  Disposition& disposition = dispositions[index_of(signo)];
  if (disposition.reactors == 0) {
    if (const auto error = take_over(signo, disposition, calls_)) {
      watches.store(0, std::memory_order_seq_cst);
      return error;
    }
  }
  ++disposition.reactors;
  return {};
}

void SignalInbox::unsubscribe(int signo) noexcept {
  if (target_ == nullptr) return;
  const std::unique_lock lock = locked();
  std::atomic<unsigned>& watches = target_->watches[index_of(signo)];
  if (watches.load(std::memory_order_relaxed) > 1) {
    watches.fetch_sub(1, std::memory_order_relaxed);
  } else {
    drop(*target_, index_of(signo), calls_);
  }
}

void SignalInbox::after_fork() noexcept {
  if (target_ == nullptr) return;
  static_cast<void>(locked());
  target_->wakes.store(fork_count(), std::memory_order_relaxed);
}

void SignalInbox::close() noexcept {
  if (target_ == nullptr) return;
  const std::unique_lock lock = locked();
  for (std::size_t signal = 0; signal < signal_numbers; ++signal) {
    if (target_->watches[signal].load(std::memory_order_relaxed) != 0)
      drop(*target_, signal, calls_);
  }
  // A signal handler runs in another thread, for a moment. Yielding alone would keep out a thread
  // that the scheduler holds in lower esteem.
  while (target_->inside.load(std::memory_order_seq_cst) != 0)
    std::this_thread::sleep_for(std::chrono::microseconds{10});
  forget_raised(*target_);
  target_->wakeup = nullptr;
  target_ = nullptr;
}

}  // namespace pollux::detail::platform
