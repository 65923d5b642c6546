// SPDX-License-Identifier: MIT
// What the adapters of this folder have in common: a reactor that another loop runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/detail/saturating_time.hpp>
#include <pollux/reactor.hpp>

namespace pollux::embed::detail {

/// Owns a descriptor.
class OwnedHandle {
 public:
  OwnedHandle() noexcept = default;
  explicit OwnedHandle(NativeHandle handle) noexcept : handle_{handle} {}
  OwnedHandle(OwnedHandle&& other) noexcept : handle_{std::exchange(other.handle_, no_handle)} {}
  OwnedHandle& operator=(OwnedHandle&& other) noexcept {
    OwnedHandle taken{std::move(other)};
    std::swap(handle_, taken.handle_);
    return *this;
  }
  ~OwnedHandle() {
    if (handle_ != no_handle) close_handle(handle_);
  }

  NativeHandle get() const noexcept { return handle_; }

 private:
  NativeHandle handle_ = no_handle;
};

/// A reactor in another loop: what that loop waits on, and a turn in pieces. All members: loop
/// thread. It may be left from inside a turn, but must live until that returns.
class EmbeddedReactor {
 public:
  /// Throws what Reactor::native_handle() says on a backend that has none.
  explicit EmbeddedReactor(Reactor& reactor) : reactor_{&reactor} { static_cast<void>(renew()); }
  EmbeddedReactor(const EmbeddedReactor&) = delete;
  EmbeddedReactor& operator=(const EmbeddedReactor&) = delete;
  ~EmbeddedReactor() { leave(); }

  /// The reactor is on its own again. What the other loop waits on must be out of it by now.
  void leave() noexcept {
    if (reactor_ == nullptr) return;
    std::exchange(reactor_, nullptr)->on_reschedule({});
    handle_ = {};
  }
  /// From inside one of the reactor's handlers, perhaps.
  bool has_left() const noexcept { return reactor_ == nullptr; }

  /// What the other loop waits on: a duplicate of the reactor's own, which the reactor may close
  /// before the other loop learns of it.
  NativeHandle handle() const noexcept { return handle_.get(); }
  /// Whether the reactor waits on another set by now. (The number says little: numbers are given
  /// out again.)
  bool is_outdated() const noexcept { return reactor_->stats().rebuilds != rebuilds_; }
  /// Makes a new handle(). The old one is closed with what is returned: the other loop must have
  /// let go of it by then.
  [[nodiscard]] OwnedHandle renew() {
    std::error_code error;
    OwnedHandle copy{duplicate_handle(reactor_->native_handle(), error)};
    if (error) throw std::system_error{error, "pollux::embed"};
    rebuilds_ = reactor_->stats().rebuilds;
    return std::exchange(handle_, std::move(copy));
  }

  /// Before the other loop waits: for how long it may.
  Timeout prepare() {
    const std::optional<std::chrono::nanoseconds> timeout = reactor_->prepare();
    return timeout ? Timeout{*timeout} : Timeout::infinite();
  }
  /// `notify` is called when what was prepared holds no longer: the other loop prepares again.
  void on_reschedule(Handler<void> notify) { reactor_->on_reschedule(std::move(notify)); }
  void wake() const noexcept { reactor_->wake(); }

  /// After it has waited: whether a turn is worth its system call.
  bool is_due(bool readable) const noexcept {
    return readable || reactor_->next_timeout() == std::chrono::nanoseconds::zero();
  }
  /// Calls handlers, and lets out what they throw. Does nothing inside of one of them: the other
  /// loop is then run by a handler.
  void turn() {
    if (has_left() || turning_) return;
    const Turning turning{*this};
    if (reactor_->check()) reactor_->dispatch();
  }
  bool is_turning() const noexcept { return turning_; }

 private:
  class Turning {
   public:
    explicit Turning(EmbeddedReactor& embedded) : embedded_{embedded} { embedded_.turning_ = true; }
    Turning(const Turning&) = delete;
    Turning& operator=(const Turning&) = delete;
    ~Turning() { embedded_.turning_ = false; }

   private:
    EmbeddedReactor& embedded_;
  };

  Reactor* reactor_;
  OwnedHandle handle_;
  std::uint64_t rebuilds_ = 0;
  bool turning_ = false;
};

/// When the other loop's timer expires. It is set only to expire earlier: expiring too early does
/// no harm, and deadlines that are put off again and again cost nothing.
class HostTimer {
 public:
  /// Whether it has to be set, to expire after `timeout`.
  bool is_to_be_set(Timeout timeout) {
    if (timeout.is_infinite()) return false;
    const auto at = pollux::detail::later(std::chrono::steady_clock::now(), timeout.duration());
    if (at >= at_) return false;
    at_ = at;
    return true;
  }
  void has_expired() noexcept { at_ = never; }

 private:
  static constexpr auto never = std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point at_ = never;
};

/// What handlers throw where the other loop lets nothing pass: it is kept.
class Exceptions {
 public:
  void on_exception(Handler<std::exception_ptr> handler) { handler_ = std::move(handler); }
  void rethrow() {
    if (kept_) std::rethrow_exception(std::exchange(kept_, nullptr));
  }

  /// Runs `call`, and keeps what it throws.
  template <class Call>
  void guard(Call call) noexcept {
    try {
      call();
    } catch (...) {
      keep(std::current_exception());
    }
  }

 private:
  void keep(std::exception_ptr exception) noexcept {
    try {
      if (handler_) return handler_.call(&exception);
    } catch (...) {
      exception = std::current_exception();
    }
    if (!kept_) kept_ = std::move(exception);
  }

  pollux::detail::AnyHandler handler_;
  std::exception_ptr kept_;
};

}  // namespace pollux::embed::detail
