// SPDX-License-Identifier: MIT
// Signals on their way to the loops of this process.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <system_error>

#include <pollux/backend.hpp>

#include "base/wakeup.hpp"

namespace pollux::detail::platform {

/// No system has a signal beyond 127 (FreeBSD and Linux on MIPS come close).
inline constexpr std::size_t signal_numbers = 128;
using SignalSet = std::bitset<signal_numbers>;

/// The one that is raised when a child ends.
extern const int child_signal;
/// Whether it is one of the system's, which anybody may watch.
extern const bool child_signal_is_of_the_system;

/// Where signal handlers leave word for one reactor. There are as many as there have been reactors
/// with signals at one time, and none is ever freed: a signal handler that runs in another thread
/// may be looking at any of them.
struct SignalTarget {
  std::array<std::atomic<unsigned>, signal_numbers> watches{};  ///< the owner's, by signal
  std::array<std::atomic<bool>, signal_numbers> raised{};
  std::atomic<bool> any_raised{false};
  std::atomic<unsigned> wakes{0};   ///< the fork_count() of the process whose loop may be woken
  std::atomic<unsigned> inside{0};  ///< signal handlers that are using `wakeup` just now
  Wakeup* wakeup = nullptr;         ///< null: free to be taken by the next reactor
  SignalTarget* next = nullptr;
};

/// What one reactor has to do with signals. Until it subscribes to one, nothing. Loop thread.
class SignalInbox {
 public:
  /// `wakeup` must live until close().
  SignalInbox(Wakeup& wakeup, SystemCalls& calls) noexcept : wakeup_{wakeup}, calls_{calls} {}

  /// Once more. From now on the signal wakes the loop and is in what take() returns.
  /// `invalid_argument` for what is no signal, or none that can be watched.
  std::error_code subscribe(int signo) noexcept;
  /// Once less; with the last in the process the signal is again what it was.
  void unsubscribe(int signo) noexcept;

  /// What was raised since the last call, when a request of it is pending.
  SignalSet take() noexcept;

  /// In the child of a fork, when the backend is its own again. What was raised before the fork was
  /// the parent's.
  void after_fork() noexcept;

  /// Unsubscribes from everything, and comes back when no signal handler uses the wakeup any more.
  void close() noexcept;

 private:
  Wakeup& wakeup_;
  SystemCalls& calls_;
  SignalTarget* target_ = nullptr;
};

}  // namespace pollux::detail::platform
