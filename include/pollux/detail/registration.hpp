// SPDX-License-Identifier: MIT
// What watches, timers, and the watches of signals and children are made of: something that a
// reactor keeps for as long as an object lives. Applications have no need of it.
#pragma once

#include <cstdint>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

class Reactor;

namespace detail {

class EventLoop;

/// What is registered.
enum class Registered : std::uint8_t { watch, timer, process };

template <Registered what>
class Registration;
template <class Watch>
class LentWatch;

/// The reference count of an EventLoop, shared by the Reactor and its registrations. Not atomic:
/// all of them live on the loop's thread.
class CoreBase {
  friend class CorePointer;
  template <Registered>
  friend class Registration;
  template <class>
  friend class LentWatch;

  std::uint32_t holders_ = 0;
  const void* lent_ = nullptr;  ///< the LentWatch's, while a handler runs that takes its watch
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

/// Ends what `token` names. `lent`: by way of a LentWatch, and there is an owner besides.
template <Registered what>
void end_registration(CoreBase& core, Token token, bool lent) noexcept;
/// Whether `token` names anything still.
template <Registered what>
bool is_registered(CoreBase& core, Token token) noexcept;
/// What the handler that is running was registered as.
template <Registered what>
Token called_token(CoreBase& core) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::watch>(CoreBase& core, Token token,
                                                       bool lent) noexcept;
template <>
POLLUX_EXPORT bool is_registered<Registered::watch>(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT Token called_token<Registered::watch>(CoreBase& core) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::timer>(CoreBase& core, Token token,
                                                       bool lent) noexcept;
template <>
POLLUX_EXPORT bool is_registered<Registered::timer>(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT Token called_token<Registered::timer>(CoreBase& core) noexcept;
template <>
POLLUX_EXPORT void end_registration<Registered::process>(CoreBase& core, Token token,
                                                         bool lent) noexcept;
template <>
POLLUX_EXPORT bool is_registered<Registered::process>(CoreBase& core, Token token) noexcept;
template <>
POLLUX_EXPORT Token called_token<Registered::process>(CoreBase& core) noexcept;

/// A registration that ends with the object: what each public class that has one is made of.
template <Registered what>
class Registration {
 protected:
  Registration() noexcept = default;
  Registration(CoreBase& core, Token token) noexcept : core_{core}, token_{token} {}
  Registration(Registration&& other) noexcept : core_{other.give()}, token_{other.token_} {}
  Registration& operator=(Registration&& other) noexcept {
    if (this != &other) {
      end();
      core_ = other.give();
      token_ = other.token_;
    }
    return *this;
  }
  ~Registration() { end(); }

  void end() noexcept {
    if (core_) end_held();
  }
  void end_held() noexcept {
    // Emptied first: the handler that is destroyed with the registration may own this very object.
    const CorePointer core = std::move(core_);
    const bool lent = core.base().lent_ == this;
    if (lent) core.base().lent_ = nullptr;
    end_registration<what>(core.base(), token_, lent);
  }
  /// Empties this without ending anything.
  CorePointer take() noexcept {
    if (is_lent()) core_.base().lent_ = nullptr;
    return std::move(core_);
  }
  bool is_live() const noexcept { return core_ && is_registered<what>(core_.base(), token_); }

  CorePointer core_;
  Token token_;

 private:
  template <class>
  friend class LentWatch;

  bool is_lent() const noexcept { return core_ && core_.base().lent_ == this; }
  /// What is lent is not given on: it has an owner.
  CorePointer give() noexcept { return is_lent() ? CorePointer{} : std::move(core_); }

  static constexpr Registered registered_as = what;
};

/// The watch that a handler is given: it names what the handler is called for, and does not own it.
template <class Watch>
class LentWatch {
 public:
  explicit LentWatch(CoreBase& core) noexcept
      : core_{core}, watch_{core, called_token<Watch::registered_as>(core)} {
    core.lent_ = &watch_;
  }
  LentWatch(const LentWatch&) = delete;
  LentWatch& operator=(const LentWatch&) = delete;
  ~LentWatch() {
    // Not if the handler has reset it, and perhaps moved a watch into it: that one ends here.
    if (core_.lent_ == &watch_) const CorePointer let_go = watch_.take();
  }

  Watch& watch() noexcept { return watch_; }

 private:
  CoreBase& core_;
  Watch watch_;
};

}  // namespace detail
}  // namespace pollux
