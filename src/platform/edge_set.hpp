// SPDX-License-Identifier: MIT
// A kernel's set that reports what is new, and not what lasts.
#pragma once

#include <cstdint>
#include <optional>

#include <pollux/backend.hpp>

namespace pollux::detail::platform {

/// For what is masked on a backend that has no edges: the set reports at once what comes next, and
/// what stays up does not turn the loop. Linux has one, an epoll set; elsewhere open() answers
/// false. Each member adds the system calls that it takes to `calls`. Loop thread.
class EdgeSet {
 public:
  explicit EdgeSet(SystemCalls& calls) noexcept : calls_{calls} {}
  EdgeSet(const EdgeSet&) = delete;
  EdgeSet& operator=(const EdgeSet&) = delete;
  ~EdgeSet() { close(); }

  /// False if there is none to be had.
  bool open() noexcept;
  /// Forgets all.
  void close() noexcept;
  /// Readable while next() has something. no_handle until it is open.
  NativeHandle handle() const noexcept { return set_; }

  /// From now on reports `handle`: first of what is up now, then of what is new. False if the
  /// kernel refuses.
  bool put(NativeHandle handle, RawInterest interest, Token token) noexcept;
  /// False if the number stands for another file by now.
  bool remove(NativeHandle handle) noexcept;
  /// A report of one of them.
  std::optional<RawEvent> next() noexcept;

 private:
  SystemCalls& calls_;
  NativeHandle set_ = no_handle;
};

}  // namespace pollux::detail::platform
