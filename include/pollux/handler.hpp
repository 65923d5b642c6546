// SPDX-License-Identifier: MIT
// A move-only callable that keeps small captures in place: what a watch calls.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <pollux/detail/any_handler.hpp>

namespace pollux {

/// What a watch calls: any callable taking `const Argument&` (or `Argument`), move-only ones
/// included. It is moved into the reactor and destroyed with the watch, at the latest when the call
/// that is running returns.
template <class Argument>
class Handler : public detail::AnyHandler {
 public:
  /// Calls `function`, which is moved or copied into it.
  template <class F>
  requires(!std::derived_from<std::decay_t<F>, detail::AnyHandler> &&
           std::invocable<std::decay_t<F>&, const Argument&>)
      Handler(F&& function) {  // NOLINT(google-explicit-constructor): a lambda is a handler
    this->template emplace<Argument>(std::forward<F>(function));
  }
};

/// What a timer calls, and what is posted: any callable without arguments.
template <>
class Handler<void> : public detail::AnyHandler {
 public:
  /// Calls nothing: for what may be left out.
  Handler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <class F>
  requires(!std::derived_from<std::decay_t<F>, detail::AnyHandler> &&
           std::invocable<std::decay_t<F>&>)
      Handler(F&& function) {  // NOLINT(google-explicit-constructor): a lambda is a handler
    this->template emplace<void>(std::forward<F>(function));
  }
};

}  // namespace pollux
