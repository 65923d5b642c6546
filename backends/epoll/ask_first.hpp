// SPDX-License-Identifier: MIT
// Registrations that newly want to hear of `writable`, until they are asked about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <poll.h>

#include <pollux/backend.hpp>

namespace pollux::detail {

/// Most sockets have room, and whoever asks for `writable` seldom asks for long. So the kernel's
/// set is left as it is, and one poll() asks about all of them: those that can be told something
/// are, and by the next wait have often changed their mind. Two epoll_ctl each are spared.
class AskFirst {
 public:
  struct Entry {
    int handle = -1;
    std::uint32_t installed = 0;  ///< what the kernel's set has
    std::uint32_t wanted = 0;     ///< what it is to have if there is nothing to tell
    Token token;
  };

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  Entry& operator[](std::size_t i) noexcept { return entries_[i]; }

  /// The entry for `handle`, or null.
  Entry* find(int handle) noexcept {
    if (entries_.empty()) return nullptr;
    const auto index = static_cast<std::size_t>(handle);
    if (handle < 0 || index >= places_.size() || places_[index] == nowhere) return nullptr;
    return &entries_[places_[index]];
  }

  /// `entry.handle` has none yet. May throw std::bad_alloc, and then has changed nothing.
  void add(const Entry& entry) {
    const auto index = static_cast<std::size_t>(entry.handle);
    if (index >= places_.size()) places_.resize(index + index / 2 + 16, nowhere);
    polled_.resize(entries_.size() + 1);
    entries_.push_back(entry);
    places_[index] = static_cast<std::uint32_t>(entries_.size() - 1);
  }

  /// The last takes its place.
  void remove(Entry& entry) noexcept {
    places_[static_cast<std::size_t>(entry.handle)] = nowhere;
    if (&entry != &entries_.back()) {
      entry = entries_.back();
      places_[static_cast<std::size_t>(entry.handle)] =
          static_cast<std::uint32_t>(&entry - entries_.data());
    }
    entries_.pop_back();
  }

  void clear() noexcept {
    while (!entries_.empty()) remove(entries_.back());
  }

  /// What poll() says of each, by its place; null if it says nothing. EPOLL* and POLL* have the
  /// same numbers (epoll_ctl(2), linux/eventpoll.h).
  const pollfd* ask() noexcept {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      polled_[i] = {entries_[i].handle, static_cast<short>(entries_[i].wanted), 0};
    return ::poll(polled_.data(), static_cast<nfds_t>(entries_.size()), 0) > 0 ? polled_.data()
                                                                               : nullptr;
  }

 private:
  static constexpr std::uint32_t nowhere = 0xFFFFFFFF;

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> places_;  ///< by handle
  std::vector<pollfd> polled_;         ///< room for ask(), which must not fail for want of it
};

}  // namespace pollux::detail
