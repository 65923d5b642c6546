// SPDX-License-Identifier: MIT
// What watches, timers, and the watches of signals and children are: something that a reactor keeps
// for as long as an object lives.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <pollux/backend.hpp>

namespace pollux::detail {

class ReactorCore;

/// What is registered.
enum class Registered : std::uint8_t { watch, timer, notice };

void end_registration(Registered what, ReactorCore& core, Token token) noexcept;

/// A registration that ends with the object. All members: loop thread, and harmless when the
/// reactor is gone.
template <Registered what>
class Registration {
 public:
  Registration() noexcept = default;
  Registration(Registration&& other) noexcept
      : core_{std::move(other.core_)}, token_{other.token_} {}
  Registration& operator=(Registration&& other) noexcept {
    if (this != &other) {
      reset();
      core_ = std::move(other.core_);
      token_ = other.token_;
    }
    return *this;
  }
  ~Registration() { reset(); }

  /// Ends the registration: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself. What is watched, a descriptor or a child, is left as it is.
  void reset() noexcept {
    // Emptied first: the handler that is destroyed with the registration may own this very object.
    if (const std::shared_ptr<ReactorCore> core = std::exchange(core_, nullptr))
      end_registration(what, *core, token_);
  }

  /// Whether this object holds a registration: also a watch after hangup, a timer that is not
  /// armed, a child that has been told.
  explicit operator bool() const noexcept { return core_ != nullptr; }

 protected:
  friend class ReactorCore;
  Registration(std::shared_ptr<ReactorCore> core, Token token) noexcept
      : core_{std::move(core)}, token_{token} {}

  std::shared_ptr<ReactorCore> core_;
  Token token_;
};

}  // namespace pollux::detail
