// SPDX-License-Identifier: MIT
// What a Handler is, whatever it takes: a move-only callable that keeps small captures in place.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace pollux::detail {

class CoreBase;
template <class Watch>
class LentWatch;

/// A callable that takes its watch, or its timer, ahead of the argument that there may be.
template <class Watch, class F>
struct TakesWatch {
  F function;
  CoreBase* core = nullptr;  ///< known when it is registered: see AnyHandler::bind()

  template <class... Argument>
  void operator()(const Argument&... argument) {
    LentWatch<Watch> lent{*core};
    function(lent.watch(), argument...);
  }
};

template <class F>
inline constexpr bool takes_watch = false;
template <class Watch, class F>
inline constexpr bool takes_watch<TakesWatch<Watch, F>> = true;

/// A callable taking one argument, or none, whose type has been forgotten. Up to three pointers of
/// captures live in place; more, or captures that may throw while moving, live on the heap.
class AnyHandler {
 public:
  AnyHandler() noexcept = default;
  AnyHandler(AnyHandler&& other) noexcept { take(other); }
  AnyHandler& operator=(AnyHandler&& other) noexcept {
    if (this != &other) {
      clear();
      take(other);
    }
    return *this;
  }
  ~AnyHandler() {
    if (ops_ != nullptr && ops_->destroy != nullptr) clear();
  }

  explicit operator bool() const noexcept { return ops_ != nullptr; }
  void call(const void* argument) { ops_->call(storage_, argument); }
  /// Before it is registered with the reactor that has `core`.
  void bind(CoreBase& core) noexcept {
    if (ops_ != nullptr && ops_->bind != nullptr) ops_->bind(storage_, core);
  }
  void clear() noexcept {
    // Whoever looks from inside the capture's destructor finds the handler already empty.
    const Ops* ops = std::exchange(ops_, nullptr);
    if (ops != nullptr && ops->destroy != nullptr) ops->destroy(storage_);
  }
  /// The same if nothing is to be destroyed; false, and nothing done, if something is.
  bool forget() noexcept {
    if (ops_ != nullptr && ops_->destroy != nullptr) return false;
    ops_ = nullptr;
    return true;
  }

 protected:
  template <class Argument, class F>
  void emplace(F&& function) {
    using Function = std::decay_t<F>;
    if constexpr (sizeof(Function) <= sizeof(storage_) && alignof(Function) <= alignof(void*) &&
                  std::is_nothrow_move_constructible_v<Function>) {
      // Also what it leaves out of its last word is copied.
      std::memset(storage_, 0, words_of<Function> * sizeof(void*));
      ::new (static_cast<void*>(storage_)) Function(std::forward<F>(function));
      ops_ = &in_place<Argument, Function>;
    } else {
      auto owned = std::make_unique<Function>(std::forward<F>(function));
      ::new (static_cast<void*>(storage_)) Function*(owned.release());
      ops_ = &on_heap<Argument, Function>;
    }
  }

 private:
  friend class PackedHandler;

  struct Ops {
    void (*call)(void* self, const void* argument);
    void (*move)(void* from, void* to) noexcept;        ///< null: the words are copied
    void (*destroy)(void* self) noexcept;               ///< null: nothing is to be done
    std::size_t words;                                  ///< of captures, each as large as a pointer
    void (*bind)(void* self, CoreBase& core) noexcept;  ///< null: it takes no watch

    void take(void* from, void* to) const noexcept {
      if (move != nullptr) return move(from, to);
      // Word by word, as they were written a moment ago: a load wider than the store before it
      // waits for the cache.
      for (std::size_t i = 0; i < words; ++i)
        std::memcpy(static_cast<std::byte*>(to) + i * sizeof(void*),
                    static_cast<const std::byte*>(from) + i * sizeof(void*), sizeof(void*));
    }
  };

  template <class F>
  static constexpr std::size_t words_of = (sizeof(F) + sizeof(void*) - 1) / sizeof(void*);

  template <class T>
  static T& as(void* storage) noexcept {
    return *std::launder(static_cast<T*>(storage));
  }

  template <class Argument, class F>
  static void invoke(F& function, const void* argument) {
    if constexpr (std::is_void_v<Argument>) {
      function();
    } else {
      function(*static_cast<const Argument*>(argument));
    }
  }

  template <class F>
  static constexpr auto bind_in_place() noexcept -> void (*)(void*, CoreBase&) noexcept {
    if constexpr (takes_watch<F>) {
      return [](void* self, CoreBase& core) noexcept { as<F>(self).core = &core; };
    } else {
      return nullptr;
    }
  }
  template <class F>
  static constexpr auto bind_on_heap() noexcept -> void (*)(void*, CoreBase&) noexcept {
    if constexpr (takes_watch<F>) {
      return [](void* self, CoreBase& core) noexcept { as<F*>(self)->core = &core; };
    } else {
      return nullptr;
    }
  }

  template <class F>
  static void move(void* from, void* to) noexcept {
    ::new (to) F(std::move(as<F>(from)));
    as<F>(from).~F();
  }

  template <class Argument, class F>
  static constexpr Ops in_place{
      [](void* self, const void* argument) { invoke<Argument>(as<F>(self), argument); },
      std::is_trivially_copyable_v<F> ? nullptr : &move<F>,
      std::is_trivially_destructible_v<F> ? nullptr
                                          : +[](void* self) noexcept { as<F>(self).~F(); },
      words_of<F>, bind_in_place<F>()};

  template <class Argument, class F>
  static constexpr Ops on_heap{
      [](void* self, const void* argument) { invoke<Argument>(*as<F*>(self), argument); }, nullptr,
      [](void* self) noexcept { delete as<F*>(self); }, words_of<F*>, bind_on_heap<F>()};

  void take(AnyHandler& other) noexcept {
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_ != nullptr) ops_->take(other.storage_, storage_);
  }

  alignas(void*) std::byte storage_[3 * sizeof(void*)];
  const Ops* ops_ = nullptr;
};

}  // namespace pollux::detail
