// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <thread>
#include <utility>

namespace pollux::support {

/// A thread that is waited for when this is destroyed. (libc++ before 20, and so Apple's, has no
/// std::jthread.)
class Thread {
 public:
  template <std::invocable Body>
  explicit Thread(Body body) : thread_{std::move(body)} {}
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) = delete;
  ~Thread() {
    if (thread_.joinable()) thread_.join();
  }

  void join() { thread_.join(); }

 private:
  std::thread thread_;
};

}  // namespace pollux::support
