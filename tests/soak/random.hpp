// SPDX-License-Identifier: MIT
// Numbers from a seed, alike with every standard library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace pollux::soak {

/// splitmix64: one word of state, so that each connection has a sequence of its own.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_{seed} {}

  std::uint64_t next() noexcept {
    std::uint64_t mixed = (state_ += 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
  }
  /// 0 to count - 1.
  std::size_t below(std::size_t count) noexcept { return static_cast<std::size_t>(next() % count); }
  bool chance(unsigned percent) noexcept { return below(100) < percent; }
  /// 1 to 2^16, small ones as often as large ones.
  std::size_t size() noexcept {
    const std::size_t magnitude = std::size_t{1} << below(17);
    return std::max<std::size_t>(1, magnitude / 2 + below(magnitude / 2 + 1));
  }

 private:
  std::uint64_t state_;
};

}  // namespace pollux::soak
