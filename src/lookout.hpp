// SPDX-License-Identifier: MIT
// When to look again at a condition that no kernel call can wait for: a queue of (time,
// registration).
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <pollux/backend.hpp>

namespace pollux::detail {

/// Empty, and so without any cost, as long as no watch needs it.
class Lookout {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  bool empty() const noexcept { return queue_.empty(); }
  time_point next() const noexcept { return queue_.front().when; }

  void add(time_point when, Token token) {
    queue_.push_back({when, token});
    std::push_heap(queue_.begin(), queue_.end(), later);
  }

  /// The next registration whose time has come; it may have ended in the meantime.
  std::optional<Token> take_due(time_point now) {
    if (queue_.empty() || queue_.front().when > now) return std::nullopt;
    std::pop_heap(queue_.begin(), queue_.end(), later);
    const Token token = queue_.back().token;
    queue_.pop_back();
    return token;
  }

 private:
  struct Entry {
    time_point when;
    Token token;
  };
  static bool later(const Entry& a, const Entry& b) noexcept { return a.when > b.when; }

  std::vector<Entry> queue_;
};

}  // namespace pollux::detail
