// SPDX-License-Identifier: MIT
// The clients of an echo server, in a process of their own: its time, its memory and its calls are
// not the server's. They are the same whatever the server is.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include <sys/types.h>

#include "io.hpp"

namespace pollux::bench {

/// A child of this process that calls one function, and is gone with the object.
class ChildProcess {
 public:
  /// The child leaves with status 0 when `function` returns, and with 1 when it throws.
  explicit ChildProcess(const std::function<void()>& function);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  /// Waits for its end; throws unless the status is 0.
  void expect_success();

 private:
  pid_t pid_;
};

/// A connected pair for a server (`local`) and its client, whose end leaves no port in use.
Pair make_connection();

/// The same with buffers so small that a write of what `examine()` sends is short.
Pair make_narrow_connection();

/// Sends a mebibyte, reads when no more can be sent, compares each byte of the answer, ends its
/// side and waits for the server's end. Throws if anything else happens, or nothing for too long.
void examine(int handle);

/// Keeps one message of `size` bytes under way on each connection, until it is killed. Throws if a
/// connection ends, or no answer has come for too long.
void keep_busy(const std::vector<Handle>& handles, std::size_t size);

}  // namespace pollux::bench
