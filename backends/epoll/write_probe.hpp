// SPDX-License-Identifier: MIT
// Asks poll(2) about registrations that newly ask for `out`, before the kernel's set is changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>

namespace pollux::detail::epoll {

// One interest serves for both calls (epoll_ctl(2), linux/eventpoll.h).
static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
              EPOLLERR == POLLERR && EPOLLHUP == POLLHUP);

/// Most sockets have room, and a program that starts to ask for `writable` seldom asks for long. So
/// the set is left as it is, and the next wait makes one poll() for all such registrations: it
/// reports those that can be written, and most of them have dropped the interest by the wait after
/// it. That spares two calls of epoll_ctl() for each.
class WriteProbe {
 public:
  /// A registration whose change of interest the set does not have yet.
  struct Entry {
    int handle = -1;
    std::uint32_t installed = 0;  ///< what the set has, in epoll's bits
    std::uint32_t wanted = 0;     ///< what it is to have if poll() reports nothing
    Token token;
  };

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  Entry& operator[](std::size_t i) noexcept { return entries_[i]; }

  /// The entry of `handle`, or null.
  Entry* find(int handle) noexcept {
    if (entries_.empty()) return nullptr;
    const std::uint32_t place = places_.find(handle);
    return place != HandleMap::none ? &entries_[place] : nullptr;
  }

  /// `entry.handle` has none yet. May throw std::bad_alloc, and then has changed nothing.
  void add(const Entry& entry) {
    places_.make_room(entry.handle);
    polled_.resize(entries_.size() + 1);
    entries_.push_back(entry);
    places_.put(entry.handle, static_cast<std::uint32_t>(entries_.size() - 1));
  }

  /// Fills the gap with the last entry.
  void remove(Entry& entry) noexcept {
    places_.remove(entry.handle);
    if (&entry != &entries_.back()) {
      entry = entries_.back();
      places_.put(entry.handle, static_cast<std::uint32_t>(&entry - entries_.data()));
    }
    entries_.pop_back();
  }

  void clear() noexcept {
    while (!entries_.empty()) remove(entries_.back());
  }

  /// What poll() reports of each entry, by its place; null if it reports nothing.
  const pollfd* poll() noexcept {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      polled_[i] = {entries_[i].handle, static_cast<short>(entries_[i].wanted), 0};
    return ::poll(polled_.data(), static_cast<nfds_t>(entries_.size()), 0) > 0 ? polled_.data()
                                                                               : nullptr;
  }

 private:
  std::vector<Entry> entries_;
  HandleMap places_;            ///< in it
  std::vector<pollfd> polled_;  ///< room for poll(), which must not fail for want of it
};

}  // namespace pollux::detail::epoll
