// SPDX-License-Identifier: MIT
// What a ring must not hold, or cannot: a set of epoll's, which the ring waits on. It keeps no file
// open, and takes files with any number of wait queues (README.md).
#pragma once

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring.hpp"

namespace pollux::detail::io_uring {

static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
              EPOLLRDHUP == POLLRDHUP && EPOLLHUP == POLLHUP && EPOLLERR == POLLERR);

/// A socket that is an address of this process's, and no connection: it listens, or takes datagrams
/// from anybody. A request would keep the address for a while after the process has ended.
inline bool is_address(NativeHandle handle) noexcept {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  const auto place = reinterpret_cast<sockaddr*>(&peer);
  return ::getpeername(handle, place, &size) < 0 && errno == ENOTCONN;
}

class EpollSet {
 public:
  /// `calls` counts the system calls, and outlives the set.
  explicit EpollSet(SystemCalls& calls) noexcept : calls_{calls} {}
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;
  ~EpollSet() { close(); }

  /// Readable when it has something to tell; no_handle before there was anything to put in.
  NativeHandle handle() const noexcept { return set_; }

  /// Makes it, unless it is there. 0, or the system's number.
  int open() noexcept {
    if (set_ != no_handle) return 0;
    ++calls_;
    set_ = ::epoll_create1(EPOLL_CLOEXEC);
    return set_ == no_handle ? errno : 0;
  }
  /// Puts it in, or changes what is asked for. 0, or the system's number.
  int put(NativeHandle handle, std::uint32_t events, Request named, bool is_in) noexcept {
    if (const int error = open()) return error;
    const int error = control(is_in ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, handle, events, named);
    // Closed under its watch, kept by a duplicate, and now under its number again.
    return error == EEXIST ? control(EPOLL_CTL_MOD, handle, events, named) : error;
  }
  void remove(NativeHandle handle) noexcept { control(EPOLL_CTL_DEL, handle, 0, {}); }

  /// What is true now of those in it: how many there are in `out`, or -1 and errno.
  int take(std::span<epoll_event> out) noexcept {
    ++calls_;
    return ::epoll_wait(set_, out.data(), static_cast<int>(out.size()), 0);
  }
  static Request name_of(const epoll_event& event) noexcept {
    return std::bit_cast<Request>(std::uint64_t{event.data.u64});
  }

  void close() noexcept {
    if (set_ == no_handle) return;
    ::close(set_);
    set_ = no_handle;
  }

 private:
  int control(int what, NativeHandle handle, std::uint32_t events, Request named) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = std::bit_cast<std::uint64_t>(named);
    ++calls_;
    return ::epoll_ctl(set_, what, handle, &event) == 0 ? 0 : errno;
  }

  SystemCalls& calls_;
  NativeHandle set_ = no_handle;
};

}  // namespace pollux::detail::io_uring
