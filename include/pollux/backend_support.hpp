// SPDX-License-Identifier: MIT
// For backends whose kernel leaves something out: who may be watched, and a handle to wake a wait
// with. Applications have no need of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A refusal as the kernel would say it: a backend that finds by itself what another is told
/// answers with the same error code. Any thread.
inline std::error_code refusal(std::errc why) noexcept {
  return {static_cast<int>(why), std::system_category()};
}

/// A duration as kernels take it: `Spec` is `timespec`, or one of its kin. Any thread.
template <class Spec>
constexpr Spec to_timespec(std::chrono::nanoseconds duration) noexcept {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  Spec spec{};
  spec.tv_sec = static_cast<decltype(spec.tv_sec)>(seconds.count());
  spec.tv_nsec = static_cast<decltype(spec.tv_nsec)>((duration - seconds).count());
  return spec;
}

/// Which open file a descriptor number stands for, as far as the system tells. Equal identities of
/// one number at two times mean: not closed and reused in between. (Linux gives all eventfds and
/// their like one inode, so a number that went from one eventfd to another looks unchanged.)
struct HandleIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint32_t access = 0;  ///< reading, writing or both: tells the two ends of a pipe apart

  friend constexpr bool operator==(const HandleIdentity&, const HandleIdentity&) = default;
};

/// Who `handle` is, or why it cannot be watched: `bad_file_descriptor` if it is not open,
/// `operation_not_permitted` for what is always ready and so never worth waiting for (regular
/// files, directories, block devices, and on Linux those character devices that epoll refuses:
/// /dev/null, /dev/zero, /dev/urandom). The system calls that it takes are added to `calls`. Any
/// thread.
HandleIdentity identify(NativeHandle handle, std::error_code& error, std::uint64_t& calls) noexcept;
inline HandleIdentity identify(NativeHandle handle, std::error_code& error) noexcept {
  std::uint64_t uncounted = 0;
  return identify(handle, error, uncounted);
}

/// How often this process is the child of a fork, counted from when this was first called. Equal
/// counts at two times mean: the same process (or one made by vfork(2) or a bare clone(2), which
/// tell nobody). Any thread.
unsigned fork_count() noexcept;

/// A handle that becomes readable when any thread, or a signal handler, calls signal(): an eventfd
/// where there is one, else a pipe. Owned and closed by this object.
class WakeHandle {
 public:
  /// `error` says why none could be made (too many open files); the object is then of no use.
  explicit WakeHandle(std::error_code& error) noexcept;
  WakeHandle(const WakeHandle&) = delete;
  WakeHandle& operator=(const WakeHandle&) = delete;
  ~WakeHandle();

  /// In the child of a fork: a new one, since the old one is shared with the parent. Otherwise
  /// nothing. On error the old one stays. For Backend::reset(). Loop thread.
  std::error_code renew_after_fork() noexcept;

  /// What to wait on, for reading.
  NativeHandle handle() const noexcept { return read_; }
  /// Makes handle() readable. Any thread, and signal handlers; keeps errno.
  void signal() const noexcept;
  /// Makes handle() unreadable again, until the next signal(). Loop thread.
  void drain() const noexcept;

 private:
  std::error_code open() noexcept;

  NativeHandle read_ = no_handle;
  NativeHandle write_ = no_handle;
  unsigned fork_count_;
};

}  // namespace pollux
