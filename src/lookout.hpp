// SPDX-License-Identifier: MIT
// When to look again at a condition that no kernel call can wait for: slots, by time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace pollux::detail {

/// Empty, and so without any cost, as long as no watch needs it. A slot is in it at most once.
class Lookout {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  bool empty() const noexcept { return queue_.empty(); }
  /// When the first is due; time_point::max() if there is none.
  time_point next() const noexcept { return empty() ? time_point::max() : queue_.begin()->first; }

  /// Also if the slot is in it already: then the time is another from now on.
  void put(time_point when, std::uint32_t slot) {
    const auto [entry, added] = times_.try_emplace(slot, when);
    if (!added) queue_.erase({std::exchange(entry->second, when), slot});
    queue_.emplace(when, slot);
  }
  void remove(std::uint32_t slot) noexcept {
    const auto entry = times_.find(slot);
    if (entry == times_.end()) return;
    queue_.erase({entry->second, slot});
    times_.erase(entry);
  }

  /// The next slot whose time has come; it stays in until it is removed.
  std::optional<std::uint32_t> due(time_point now) const noexcept {
    if (queue_.empty() || queue_.begin()->first > now) return std::nullopt;
    return queue_.begin()->second;
  }

 private:
  std::set<std::pair<time_point, std::uint32_t>> queue_;
  std::map<std::uint32_t, time_point> times_;  ///< of the same, by slot
};

}  // namespace pollux::detail
