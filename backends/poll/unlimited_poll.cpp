// SPDX-License-Identifier: MIT
#include "unlimited_poll.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#endif

namespace pollux::detail::poll {

#if defined(__linux__)

// One interest serves for both calls (epoll_ctl(2)).
static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
              EPOLLERR == POLLERR && EPOLLHUP == POLLHUP);

UnlimitedPoll::~UnlimitedPoll() {
  if (set_ != no_handle) ::close(set_);
}

std::error_code UnlimitedPoll::renew() noexcept {
  const int fresh = ::epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0) return {errno, std::system_category()};
  if (set_ != no_handle) ::close(set_);
  set_ = fresh;
  asked_.clear();
  return {};
}

void UnlimitedPoll::remove(NativeHandle handle) noexcept {
  ++calls_;
  epoll_event nothing{};
  ::epoll_ctl(set_, EPOLL_CTL_DEL, handle, &nothing);
  asked_[static_cast<std::size_t>(handle)] = {};
}

/// Has the set ask for what poll() would be asked for. 0, or errno. Once: what was closed with a
/// duplicate alive cannot be removed, and would end every wait.
int UnlimitedPoll::ask(const pollfd& polled) noexcept {
  Asked& asked = asked_[static_cast<std::size_t>(polled.fd)];
  const bool fresh = asked.stamp == 0;
  const std::uint32_t stamp = fresh ? std::max(last_stamp_ + 1, 1U) : asked.stamp;
  epoll_event event{};
  event.events = static_cast<std::uint32_t>(polled.events) | EPOLLONESHOT;
  event.data.u64 = std::uint64_t{stamp} << 32 | static_cast<std::uint32_t>(polled.fd);
  ++calls_;
  if (::epoll_ctl(set_, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, polled.fd, &event) != 0)
    return errno;
  if (fresh) last_stamp_ = stamp;
  asked = {stamp, polled.events, true};
  return 0;
}

/// How many are found to be closed; -1 and errno if the set cannot be made to ask for all.
int UnlimitedPoll::ask_for_all(std::vector<pollfd>& polled) noexcept {
  int closed = 0;
  for (std::size_t i = 0; i < polled.size(); ++i) {
    const auto index = static_cast<std::size_t>(polled[i].fd);
    places_[index] = i;
    // The first is the caller's own: that it is closed must not go unnoticed.
    const Asked& asked = asked_[index];
    if (asked.armed && asked.events == polled[i].events && i != 0) continue;
    const int error = ask(polled[i]);
    if (error == EBADF || error == ENOENT) {
      polled[i].revents = POLLNVAL;
      ++closed;
    } else if (error != 0) {
      errno = error;
      return -1;
    }
  }
  return closed;
}

int UnlimitedPoll::poll(std::vector<pollfd>& polled, Timeout timeout) noexcept try {
  NativeHandle highest = 0;
  for (pollfd& entry : polled) {
    entry.revents = 0;
    highest = std::max(highest, entry.fd);
  }
  const auto room = static_cast<std::size_t>(highest) + 1;
  if (asked_.size() < room) asked_.resize(room);
  places_.assign(asked_.size(), polled.size());
  if (const int closed = ask_for_all(polled); closed != 0) return closed;
  std::array<epoll_event, 256> events;
  ++calls_;
  const int count = ::epoll_wait(set_, events.data(), events.size(), timeout.poll_ms());
  int ready = std::min(count, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto index = static_cast<std::size_t>(event.data.u64 & 0xFFFFFFFF);
    // Closed with a duplicate alive, and forgotten, or the number given out again.
    if (asked_[index].stamp != event.data.u64 >> 32 || places_[index] == polled.size()) continue;
    asked_[index].armed = false;
    polled[places_[index]].revents = static_cast<short>(event.events);
    ++ready;
  }
  return ready;
} catch (const std::bad_alloc&) {
  errno = ENOMEM;
  return -1;
}

#else

UnlimitedPoll::~UnlimitedPoll() = default;

std::error_code UnlimitedPoll::renew() noexcept {
  return {};
}

void UnlimitedPoll::remove(NativeHandle) noexcept {}

int UnlimitedPoll::poll(std::vector<pollfd>&, Timeout) noexcept {
  errno = EINVAL;
  return -1;
}

#endif

}  // namespace pollux::detail::poll
