// SPDX-License-Identifier: MIT
// A handler in no more memory than it takes, for queues that other threads fill: what they write
// goes from one core to another.
#pragma once

#include <cstddef>
#include <utility>

#include <pollux/detail/any_handler.hpp>

namespace pollux::detail {

/// A handler without an argument, and behind it, in the same memory, its captures.
class PackedHandler {
  using Ops = AnyHandler::Ops;

 public:
  /// How many bytes `handler` will take; never more than max_size.
  static std::size_t size_of(const AnyHandler& handler) noexcept { return size_of(handler.ops_); }
  static constexpr std::size_t max_size = sizeof(AnyHandler);

  /// `this` is at the beginning of so many bytes, aligned for a pointer.
  explicit PackedHandler(AnyHandler&& handler) noexcept
      : ops_{std::exchange(handler.ops_, nullptr)} {
    if (ops_ != nullptr) ops_->take(handler.storage_, captures());
  }
  PackedHandler(const PackedHandler&) = delete;
  PackedHandler& operator=(const PackedHandler&) = delete;
  ~PackedHandler() {
    if (ops_ != nullptr && ops_->destroy != nullptr) ops_->destroy(captures());
  }

  std::size_t size() const noexcept { return size_of(ops_); }
  /// Nothing, if the handler was empty.
  void call() {
    if (ops_ != nullptr) ops_->call(captures(), nullptr);
  }

 private:
  static std::size_t size_of(const Ops* ops) noexcept {
    return sizeof(PackedHandler) + (ops != nullptr ? ops->words * sizeof(void*) : 0);
  }
  void* captures() noexcept { return this + 1; }

  const Ops* ops_;
};

}  // namespace pollux::detail
