// SPDX-License-Identifier: MIT
// When to look again at a condition that no kernel call can wait for: slots, by time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

namespace pollux::detail {

/// Empty, and so without any cost, as long as no watch needs it. A slot is in it at most once, at
/// the time that the slot remembers.
class Lookout {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr time_point never = time_point::max();

  bool empty() const noexcept { return queue_.empty(); }
  time_point next() const noexcept { return queue_.begin()->first; }

  void add(time_point when, std::uint32_t slot) { queue_.emplace(when, slot); }
  void remove(time_point when, std::uint32_t slot) noexcept { queue_.erase({when, slot}); }

  /// The next slot whose time has come; it stays in until it is removed.
  std::optional<std::uint32_t> due(time_point now) const noexcept {
    if (queue_.empty() || queue_.begin()->first > now) return std::nullopt;
    return queue_.begin()->second;
  }

 private:
  std::set<std::pair<time_point, std::uint32_t>> queue_;
};

}  // namespace pollux::detail
