// SPDX-License-Identifier: MIT
// A watch of the loop's own: on a timer or a child of the kernel's, or on a set of its own.
#pragma once

#include <utility>

#include <pollux/backend.hpp>

namespace pollux::detail {

class Registrations;

/// Made by Registrations, which must outlive it; ends with the object. Its handler is called like
/// any other, but neither counted nor traced.
class InternalWatch {
 public:
  InternalWatch() noexcept = default;
  InternalWatch(Registrations& registrations, Token token) noexcept
      : registrations_{&registrations}, token_{token} {}
  InternalWatch(InternalWatch&& other) noexcept
      : registrations_{std::exchange(other.registrations_, nullptr)}, token_{other.token_} {}
  InternalWatch& operator=(InternalWatch&& other) noexcept {
    if (this != &other) {
      reset();
      registrations_ = std::exchange(other.registrations_, nullptr);
      token_ = other.token_;
    }
    return *this;
  }
  ~InternalWatch() { reset(); }

  void reset() noexcept;
  explicit operator bool() const noexcept { return registrations_ != nullptr; }

 private:
  Registrations* registrations_ = nullptr;
  Token token_;
};

}  // namespace pollux::detail
