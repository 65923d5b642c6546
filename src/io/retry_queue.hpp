// SPDX-License-Identifier: MIT
// Watches to ask the kernel about again, by time: no kernel call can wait for what they need.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace pollux::detail {

/// A heap with room for every slot, so that putting one in cannot fail. A slot is in it at most
/// once.
class RetryQueue {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// For slots up to this number. May throw std::bad_alloc, and then has changed nothing that
  /// shows; nothing else here throws or allocates.
  void make_room(std::size_t slots);

  bool empty() const noexcept { return heap_.empty(); }
  /// When the first is due; time_point::max() if there is none.
  time_point next() const noexcept { return empty() ? time_point::max() : heap_.front().when; }

  /// Also if the slot is in it already: then the time is another from now on.
  void put(time_point when, std::uint32_t slot) noexcept;
  void remove(std::uint32_t slot) noexcept;

  /// The next slot whose time has come; it stays in until it is removed.
  std::optional<std::uint32_t> due(time_point now) const noexcept {
    if (heap_.empty() || heap_.front().when > now) return std::nullopt;
    return heap_.front().slot;
  }

  /// When that slot is due; time_point::max() if it is not in the queue.
  time_point time_of(std::uint32_t slot) const noexcept {
    return slot < places_.size() && places_[slot] != nowhere ? heap_[places_[slot]].when
                                                             : time_point::max();
  }

 private:
  struct Entry {
    time_point when;
    std::uint32_t slot;

    friend bool operator<(const Entry& a, const Entry& b) noexcept {
      return a.when != b.when ? a.when < b.when : a.slot < b.slot;
    }
  };
  static constexpr std::uint32_t nowhere = 0xFFFFFFFF;

  /// Puts the entry where it belongs, from a place whose own entry is not needed any more.
  void sift(std::size_t place, Entry entry) noexcept;
  /// Moves the entry at `from`, whose place is empty then.
  std::size_t fill(std::size_t place, std::size_t from) noexcept;

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> places_;  ///< by slot
};

}  // namespace pollux::detail
