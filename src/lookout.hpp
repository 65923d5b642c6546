// SPDX-License-Identifier: MIT
// Who is to be looked at again, for want of a notification that no kernel call can wait for: slots,
// by time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace pollux::detail {

/// A heap with room for every slot, so that putting one in cannot fail. A slot is in it at most
/// once.
class Lookout {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// For slots up to this number. May throw std::bad_alloc, and then has changed nothing that
  /// shows; nothing else here throws or allocates.
  void make_room(std::size_t slots) {
    if (heap_.capacity() < slots) heap_.reserve(slots + slots / 2);
    if (places_.size() < slots) places_.resize(slots, nowhere);
  }

  bool empty() const noexcept { return heap_.empty(); }
  /// When the first is due; time_point::max() if there is none.
  time_point next() const noexcept { return empty() ? time_point::max() : heap_.front().when; }

  /// Also if the slot is in it already: then the time is another from now on.
  void put(time_point when, std::uint32_t slot) noexcept {
    if (places_[slot] == nowhere) {
      places_[slot] = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({when, slot});
    }
    settle(places_[slot], {when, slot});
  }
  void remove(std::uint32_t slot) noexcept {
    const std::uint32_t place = std::exchange(places_[slot], nowhere);
    if (place == nowhere) return;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (place < heap_.size()) settle(place, last);
  }

  /// The next slot whose time has come; it stays in until it is removed.
  std::optional<std::uint32_t> due(time_point now) const noexcept {
    if (heap_.empty() || heap_.front().when > now) return std::nullopt;
    return heap_.front().slot;
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
  void settle(std::size_t place, Entry entry) noexcept {
    while (place > 0 && entry < heap_[(place - 1) / 2]) place = fill(place, (place - 1) / 2);
    for (std::size_t child; (child = 2 * place + 1) < heap_.size();) {
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
      if (!(heap_[child] < entry)) break;
      place = fill(place, child);
    }
    heap_[place] = entry;
    places_[entry.slot] = static_cast<std::uint32_t>(place);
  }
  /// Moves the entry at `from`, whose place is empty then.
  std::size_t fill(std::size_t place, std::size_t from) noexcept {
    heap_[place] = heap_[from];
    places_[heap_[place].slot] = static_cast<std::uint32_t>(place);
    return from;
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> places_;  ///< by slot
};

}  // namespace pollux::detail
