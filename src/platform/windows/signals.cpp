// SPDX-License-Identifier: MIT
// Signals as Windows has them: what a console's user does, in a thread of the system's, and what
// the program raises itself, in its own.
#include "platform/signals.hpp"

#include <chrono>
#include <csignal>
#include <mutex>
#include <new>
#include <thread>

#include <windows.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"
#include "platform/windows/console_signals.hpp"

namespace pollux::detail::platform {

// None of the C library's: it is raised by the wait for a child (children.cpp).
const int child_signal = 17;
const bool child_signal_is_of_the_system = false;

namespace {

using SignalHandler = void (*)(int);

/// What pollux has replaced, for as long as somebody watches the signal.
struct Disposition {
  unsigned reactors = 0;
  SignalHandler before = SIG_DFL;
};

std::atomic<SignalTarget*> all_targets{nullptr};  ///< only ever grows, at its head

std::mutex mutex;  // For what follows, and for who owns which target. Never held in raise().
std::array<Disposition, signal_numbers> dispositions;
bool console_is_watched = false;

std::size_t index_of(int signo) {
  return static_cast<std::size_t>(signo);
}

void forget_raised(SignalTarget& target) {
  target.any_raised.store(false, std::memory_order_relaxed);
  for (std::atomic<bool>& raised : target.raised) raised.store(false, std::memory_order_relaxed);
}

/// What raise() calls, like any function. The C library has taken it out before; the last watch may
/// have ended since.
void on_signal(int signo) {
  {
    const std::lock_guard lock{mutex};
    if (dispositions[index_of(signo)].reactors != 0) std::signal(signo, &on_signal);
  }
  raise_for_all(signo);
}

BOOL WINAPI on_console_event(DWORD event) {
  switch (event) {
    case CTRL_C_EVENT:
      return raise_for_all(SIGINT) ? TRUE : FALSE;
    case CTRL_BREAK_EVENT:
      return raise_for_all(SIGBREAK) ? TRUE : FALSE;
    default:
      // The console is closed, or the user leaves. The process ends when this returns: it has the
      // time that Windows gives it to end by itself.
      if (!raise_for_all(SIGTERM)) return FALSE;
      ::Sleep(INFINITE);
      return TRUE;
  }
}

bool can_be_watched(int signo) {
  return signo == SIGINT || signo == SIGBREAK || signo == SIGTERM || signo == SIGABRT ||
         signo == child_signal;
}

/// One that is free, or a new one; null without memory.
SignalTarget* take_target(Wakeup& wakeup) {
  SignalTarget* target = all_targets.load(std::memory_order_relaxed);
  while (target != nullptr && target->wakeup != nullptr) target = target->next;
  const bool is_new = target == nullptr;
  if (is_new) target = new (std::nothrow) SignalTarget;
  if (target == nullptr) return nullptr;
  target->wakeup = &wakeup;
  if (is_new) {
    target->next = all_targets.load(std::memory_order_relaxed);
    all_targets.store(target, std::memory_order_release);
  }
  return target;
}

void take_over(int signo, Disposition& disposition, SystemCalls& calls) {
  if (signo == child_signal) return;
  ++calls;
  disposition.before = std::signal(signo, &on_signal);
  // Called before the C library's, which forgets who was there with each signal.
  if (!console_is_watched) {
    ++calls;
    console_is_watched = ::SetConsoleCtrlHandler(&on_console_event, TRUE) != 0;
  }
}

void give_back(int signo, const Disposition& disposition, SystemCalls& calls) {
  if (signo == child_signal) return;
  ++calls;
  const SignalHandler now = std::signal(signo, disposition.before);
  // Somebody else's by now is left alone. The default is what a raise() leaves, for a moment.
  if (now != &on_signal && now != SIG_DFL) std::signal(signo, now);
}

/// The last watch of `target`'s owner ends.
void drop(SignalTarget& target, std::size_t signal, SystemCalls& calls) {
  Disposition& disposition = dispositions[signal];
  if (--disposition.reactors == 0) give_back(static_cast<int>(signal), disposition, calls);
  target.watches[signal].store(0, std::memory_order_seq_cst);
}

}  // namespace

bool raise_for_all(int signo) noexcept {
  const std::size_t signal = index_of(signo);
  bool is_watched = false;
  for (SignalTarget* target = all_targets.load(std::memory_order_acquire); target != nullptr;
       target = target->next) {
    // Twice, for close(): see platform/posix/signals.cpp.
    if (target->watches[signal].load(std::memory_order_relaxed) == 0) continue;
    target->inside.fetch_add(1, std::memory_order_seq_cst);
    if (target->watches[signal].load(std::memory_order_seq_cst) != 0) {
      is_watched = true;
      target->raised[signal].exchange(true, std::memory_order_acq_rel);
      if (!target->any_raised.exchange(true, std::memory_order_acq_rel))
        target->wakeup->request(Wakeup::signal);
    }
    target->inside.fetch_sub(1, std::memory_order_release);
  }
  return is_watched;
}

std::error_code SignalInbox::subscribe(int signo) noexcept {
  if (!can_be_watched(signo)) return system_error_code(std::errc::invalid_argument);
  const std::lock_guard lock{mutex};
  if (target_ == nullptr) target_ = take_target(wakeup_);
  if (target_ == nullptr) return system_error_code(std::errc::not_enough_memory);
  // Before the disposition is changed, so that nothing falls between the two.
  if (target_->watches[index_of(signo)].fetch_add(1, std::memory_order_seq_cst) != 0) return {};
  Disposition& disposition = dispositions[index_of(signo)];
  if (disposition.reactors++ == 0) take_over(signo, disposition, calls_);
  return {};
}

void SignalInbox::unsubscribe(int signo) noexcept {
  if (target_ == nullptr) return;
  const std::lock_guard lock{mutex};
  std::atomic<unsigned>& watches = target_->watches[index_of(signo)];
  if (watches.load(std::memory_order_relaxed) > 1) {
    watches.fetch_sub(1, std::memory_order_relaxed);
  } else {
    drop(*target_, index_of(signo), calls_);
  }
}

void SignalInbox::after_fork() noexcept {}

void SignalInbox::close() noexcept {
  if (target_ == nullptr) return;
  const std::lock_guard lock{mutex};
  for (std::size_t signal = 0; signal < signal_numbers; ++signal) {
    if (target_->watches[signal].load(std::memory_order_relaxed) != 0)
      drop(*target_, signal, calls_);
  }
  // One of the threads that raise signals is inside, for a moment.
  while (target_->inside.load(std::memory_order_seq_cst) != 0)
    std::this_thread::sleep_for(std::chrono::microseconds{10});
  forget_raised(*target_);
  target_->wakeup = nullptr;
  target_ = nullptr;
}

}  // namespace pollux::detail::platform
