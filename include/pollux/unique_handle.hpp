// SPDX-License-Identifier: MIT
// Ownership of a descriptor.
#pragma once

#include <system_error>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

/// Owns a descriptor (Windows: a SOCKET), and closes it, exactly once: who owns, closes. What owns
/// a descriptor in pollux owns it by this. A watch does not: end the watch first, close then. One
/// object: one thread at a time.
class POLLUX_EXPORT UniqueHandle {
 public:
  /// Owns nothing.
  UniqueHandle() noexcept = default;
  /// Owns `handle` from now on; no_handle is nothing.
  explicit UniqueHandle(NativeHandle handle) noexcept : handle_{handle} {}
  UniqueHandle(UniqueHandle&& other) noexcept : handle_{other.release()} {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  /// Closes; use close() to learn whether that worked.
  ~UniqueHandle() { reset(); }

  /// What is owned; no_handle if nothing is.
  NativeHandle get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != no_handle; }

  /// Gives it up without closing it: closing it is the caller's job now.
  [[nodiscard]] NativeHandle release() noexcept { return std::exchange(handle_, no_handle); }
  /// Closes what is owned, and owns `handle` from now on.
  void reset(NativeHandle handle = no_handle) noexcept {
    if (handle_ != no_handle) close();
    handle_ = handle;
  }

  /// Closes it, and says if that failed. It owns nothing afterwards, whatever the answer is: it is
  /// never closed again. (A close that a signal cuts short has closed it, on every system that
  /// pollux knows.) Errors: `bad_file_descriptor` for what is not open, or for nothing; and what
  /// the kernel says of bytes that a file system could not keep.
  std::error_code close() noexcept;

 private:
  NativeHandle handle_ = no_handle;
};

}  // namespace pollux
