// SPDX-License-Identifier: MIT
// poll() for more descriptors than RLIMIT_NOFILE. Linux's poll(2) refuses those with EINVAL, be
// they open or not: a program that lowers the limit once it is set up, as sandboxes do, would hear
// of nothing any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include <poll.h>

#include <pollux/backend.hpp>

namespace pollux::detail::poll {

/// Answers as poll() does, by an epoll set made in advance: under such a limit no descriptor can be
/// had any more. Where there is no epoll, it is empty.
class UnlimitedPoll {
 public:
  explicit UnlimitedPoll(SystemCalls& calls) noexcept : calls_{calls} {}
  UnlimitedPoll(const UnlimitedPoll&) = delete;
  UnlimitedPoll& operator=(const UnlimitedPoll&) = delete;
  ~UnlimitedPoll();

  explicit operator bool() const noexcept { return set_ != no_handle; }
  /// A new set, which has nothing in it. On error the old one stays.
  std::error_code renew() noexcept;
  /// `handle` is polled no more, or is another file by now.
  void forget(NativeHandle handle) noexcept {
    const auto index = static_cast<std::size_t>(handle);
    if (index < asked_.size() && asked_[index].stamp != 0) remove(handle);
  }
  /// As poll(2), but that what is closed while it is polled is not told of, unless it is the first.
  int poll(std::vector<pollfd>& polled, Timeout timeout) noexcept;

 private:
  /// What the set has of a handle.
  struct Asked {
    std::uint32_t stamp = 0;  ///< which of those that had the number; 0: nothing
    short events = 0;
    bool armed = false;  ///< it has not been reported since it was asked for
  };

  void remove(NativeHandle handle) noexcept;
  int ask(const pollfd& polled) noexcept;
  int ask_for_all(std::vector<pollfd>& polled) noexcept;

  SystemCalls& calls_;
  NativeHandle set_ = no_handle;
  std::uint32_t last_stamp_ = 0;
  std::vector<Asked> asked_;         ///< by handle
  std::vector<std::size_t> places_;  ///< by handle, where it is in what is polled just now
};

}  // namespace pollux::detail::poll
