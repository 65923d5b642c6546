// SPDX-License-Identifier: MIT
// What watches, timers, and the watches of signals and children are: something that a reactor keeps
// for as long as an object lives.
#pragma once

#include <cstdint>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

class Reactor;

namespace detail {

class EventLoop;

/// What an EventLoop is for those who hold it. It goes with the last of them; they are counted
/// without ado, since all of them belong to the loop's thread.
class CoreBase {
  friend class CorePointer;
  std::uint32_t holders_ = 0;
};

/// A reactor has one, and so has everything that is registered with it.
class CorePointer {
 public:
  CorePointer() noexcept = default;
  explicit CorePointer(CoreBase& core) noexcept : core_{&core} { ++core.holders_; }
  CorePointer(CorePointer&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
  CorePointer& operator=(CorePointer&& other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~CorePointer() {
    if (core_ != nullptr && --core_->holders_ == 0) destroy(*core_);
  }

  /// One that is not counted among its holders: `core` outlives them all. let_go() ends it.
  static CorePointer uncounted(CoreBase& core) noexcept {
    CorePointer pointer;
    pointer.core_ = &core;
    return pointer;
  }
  void let_go() noexcept { core_ = nullptr; }

  explicit operator bool() const noexcept { return core_ != nullptr; }
  EventLoop& operator*() const noexcept;
  EventLoop* operator->() const noexcept { return &**this; }
  CoreBase& base() const noexcept { return *core_; }

 private:
  POLLUX_EXPORT static void destroy(CoreBase& core) noexcept;

  CoreBase* core_ = nullptr;
};

/// What is registered.
enum class Registered : std::uint8_t { watch, timer, process };

template <Registered what>
void end_registration(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::watch>(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::timer>(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::process>(CoreBase& core, Token token) noexcept;

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
    if (const CorePointer core = std::move(core_)) end_registration<what>(core.base(), token_);
  }

  /// Whether this object holds a registration: also a watch after hangup, a timer that is not
  /// armed, a child that has ended.
  explicit operator bool() const noexcept { return static_cast<bool>(core_); }

 protected:
  friend class pollux::Reactor;
  Registration(CoreBase& core, Token token) noexcept : core_{core}, token_{token} {}

  CorePointer core_;
  Token token_;
};

}  // namespace detail
}  // namespace pollux
