// SPDX-License-Identifier: MIT
// Who keeps what calls handlers alive.
#pragma once

#include <utility>

namespace pollux::detail {

/// A pointer that holds a `Core`, which counts its holders in `holders_` and goes with the last.
template <class Core>
class Holding {
 public:
  struct TakenOver {};
  static constexpr TakenOver taken_over{};

  explicit Holding(Core& core) noexcept : core_{&core} { ++core.holders_; }
  /// Of one that holds it already, and has called leave().
  Holding(TakenOver, Core& core) noexcept : core_{&core} {}
  Holding(Holding&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
  Holding& operator=(Holding&&) = delete;
  ~Holding() {
    if (core_ != nullptr && --core_->holders_ == 0) delete core_;
  }
  Core* operator->() const noexcept { return core_; }
  /// Leaves it held.
  void leave() noexcept { core_ = nullptr; }

 private:
  Core* core_;
};

}  // namespace pollux::detail
