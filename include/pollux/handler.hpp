// SPDX-License-Identifier: MIT
// A move-only callable that keeps small captures in place: what a watch calls.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <pollux/detail/any_handler.hpp>

namespace pollux {

class ChildExit;
class ChildWatch;
class Readiness;
class SignalWatch;
class StreamEvent;
class StreamWatch;
class Timer;
class Watch;

namespace detail {

/// Whose handlers take such an argument.
template <class Argument>
struct WatchOf {
  using type = void;
};
template <>
struct WatchOf<Readiness> {
  using type = Watch;
};
template <>
struct WatchOf<StreamEvent> {
  using type = StreamWatch;
};
template <>
struct WatchOf<int> {
  using type = SignalWatch;
};
template <>
struct WatchOf<ChildExit> {
  using type = ChildWatch;
};

template <class F>
concept Callable = !std::derived_from<std::decay_t<F>, AnyHandler>;

}  // namespace detail

/// What a watch calls: any callable taking `const Argument&` (or `Argument`), or the watch and that
/// (`StreamWatch&, const StreamEvent&`); move-only ones included. It is moved into the reactor and
/// destroyed with the watch, at the latest when the call that is running returns. Up to three
/// pointers of captures need no memory of their own, two with the watch.
///
/// The watch that it takes stands for the one that the caller of watch() got, wherever that is by
/// now: reset(), close() and set_interest() act on the same registration, as often as the handler
/// likes, and also when the owner's object has been moved or destroyed meanwhile. It owns nothing:
/// the registration goes on when the call returns, and whoever moves from it gets an empty watch.
/// After reset() or close() the owner's object counts as empty (`operator bool`), and what it is
/// asked answers Errc::watch_closed. A watch that is moved into it ends when the call returns: keep
/// that elsewhere. The reference holds for the call alone.
template <class Argument>
class Handler : public detail::AnyHandler {
  using Watch = typename detail::WatchOf<Argument>::type;
  template <class F>
  static constexpr bool takes_argument = std::invocable<std::decay_t<F>&, const Argument&>;
  template <class F>
  static constexpr bool takes_watch =
      std::is_invocable_v<std::decay_t<F>&, std::add_lvalue_reference_t<Watch>, const Argument&>;

 public:
  template <detail::Callable F>
  requires takes_argument<F> Handler(F&& function) {  // NOLINT: a lambda is a handler
    this->template emplace<Argument>(std::forward<F>(function));
  }
  template <detail::Callable F>
  requires(!takes_argument<F> && takes_watch<F>) Handler(F&& function) {  // NOLINT: likewise
    this->template emplace<Argument>(
        detail::TakesWatch<Watch, std::decay_t<F>>{std::forward<F>(function)});
  }
};

/// What is posted: any callable without arguments.
template <>
class Handler<void> : public detail::AnyHandler {
 public:
  /// Calls nothing: for what may be left out.
  Handler() noexcept = default;
  template <detail::Callable F>
  requires std::invocable < std::decay_t<F>
  & > Handler(F&& function) {  // NOLINT: likewise
    this->template emplace<void>(std::forward<F>(function));
  }
};

/// What a timer calls: any callable without arguments, or one that takes the timer, as the handler
/// of a watch takes the watch.
template <>
class Handler<Timer> : public detail::AnyHandler {
 public:
  /// Calls nothing.
  Handler() noexcept = default;
  Handler(Handler<void>&& task) noexcept : AnyHandler{std::move(task)} {}  // NOLINT: likewise
  template <detail::Callable F>
  requires std::invocable < std::decay_t<F>
  & > Handler(F&& function) {  // NOLINT: likewise
    this->template emplace<void>(std::forward<F>(function));
  }
  template <detail::Callable F>
  requires(!std::invocable<std::decay_t<F>&> && std::invocable<std::decay_t<F>&, Timer&>)
      Handler(F&& function) {  // NOLINT: likewise
    this->template emplace<void>(
        detail::TakesWatch<Timer, std::decay_t<F>>{std::forward<F>(function)});
  }
};

}  // namespace pollux
