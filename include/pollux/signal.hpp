// SPDX-License-Identifier: MIT
// One watch of one signal.
#pragma once

#include <memory>
#include <utility>

#include <pollux/backend.hpp>

namespace pollux {

namespace detail {

class ReactorCore;

/// What the watch of a signal and that of a child are: they end with the object. All members: loop
/// thread, and harmless when the reactor is gone.
class NoticeBase {
 public:
  NoticeBase() noexcept = default;
  NoticeBase(NoticeBase&& other) noexcept;
  NoticeBase& operator=(NoticeBase&& other) noexcept;
  ~NoticeBase();

  /// Ends the watch: the handler is not called any more, not even inside this turn, and is
  /// destroyed. May be called by the watch's own handler.
  void reset() noexcept;

  /// Whether this object holds a watch.
  explicit operator bool() const noexcept { return core_ != nullptr; }

 private:
  friend class ReactorCore;
  NoticeBase(std::shared_ptr<ReactorCore> core, Token token) noexcept;

  std::shared_ptr<ReactorCore> core_;
  Token token_;
};

}  // namespace detail

/// The watch of a signal, made by Reactor::on_signal(). Its handler runs in the loop's thread,
/// where everything may be done that a signal handler must not do, and is told the number. It is
/// called in the turn after the signal was raised, whichever thread that was raised in, and once
/// for all that came since its last call: as with signals that are pending, the number of calls
/// tells nothing, but the last is never lost. Several watches of one signal, of one reactor or of
/// many, all hear of it.
///
/// As long as a signal is watched anywhere in the process, pollux has its disposition
/// (sigaction(2), with SA_RESTART); what was there before is not called, and comes back with the
/// end of the last watch, unless somebody has replaced pollux's meanwhile. A signal that every
/// thread blocks, or that somebody else takes (sigwait(3), signalfd(2)), is not heard.
class SignalWatch : public detail::NoticeBase {
 public:
  SignalWatch() noexcept = default;

 private:
  friend class Reactor;
  explicit SignalWatch(detail::NoticeBase&& base) noexcept : NoticeBase{std::move(base)} {}
};

}  // namespace pollux
