// SPDX-License-Identifier: MIT
// What the tests of signals share.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <system_error>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {

/// Two that a program may use for itself.
inline const int first_signal = signal_of_ours(0);
inline const int second_signal = signal_of_ours(1);

/// What was called by count_natively(), which is no handler of pollux's.
inline std::atomic<int> native_calls{0};
inline void count_natively(int) {
  ++native_calls;
}

/// The disposition of a signal, given back at the end.
class Disposition {
 public:
  Disposition(int signo, void (*handler)(int))
      : signo_{signo}, before_{std::signal(signo, handler)} {}
  Disposition(const Disposition&) = delete;
  Disposition& operator=(const Disposition&) = delete;
  ~Disposition() { std::signal(signo_, before_); }

 private:
  int signo_;
  void (*before_)(int);
};

class WithSignals : public OnEachBackend {
 protected:
  /// A watch that writes down `letter` each time.
  SignalWatch watch(int signo, char letter) { return watch(reactor(), signo, letter); }
  SignalWatch watch(Reactor& on, int signo, char letter) {
    return on.on_signal(signo, [this, letter](int) { received += letter; });
  }

  /// Whether the native handle, if there is one, becomes readable.
  bool wakes_another_loop() {
    std::error_code error;
    const NativeHandle handle = reactor().native_handle(error);
    return error || await(handle, Await::readable, std::chrono::seconds{5});
  }

  std::string received;
};

}  // namespace pollux::conformance
