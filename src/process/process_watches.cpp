// SPDX-License-Identifier: MIT
// The core's signals and children: how it comes to hear of them, and the telling.
#include <new>
#include <optional>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "loop/reactor_core.hpp"
#include "platform/children.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

NoticeBase ReactorCore::watch_signal(int signo, AnyHandler&& handler, std::error_code& error) try {
  error = refusal_to_register();
  if (error) return {};
  collect_notices();  // what was raised before is not for this one
  const Token token = notices_.acquire();
  NoticeBase made{*this, token};
  error = signals_.subscribe(signo, stats_.system_calls);
  if (error) return {};
  Notice& signal = notices_.slot(token.slot);
  signal.kind = Notice::Kind::signal;
  signal.number = signo;
  signal.handler = std::move(handler);
  return made;
} catch (const std::bad_alloc&) {
  error = refusal(std::errc::not_enough_memory);
  return {};
}

NoticeBase ReactorCore::watch_child(int pid, AnyHandler&& handler, std::error_code& error) try {
  error = refusal_to_register();
  if (!error) error = platform::check_child(pid, stats_.system_calls);
  if (!error && is_child_watched(pid)) error = refusal(std::errc::file_exists);
  if (error) return {};
  const Token token = notices_.acquire();
  NoticeBase made{*this, token};
  Notice& child = notices_.slot(token.slot);
  child.number = pid;
  if (!watch_child_handle(token.slot)) error = watch_child_signal(token.slot);
  if (error) return {};
  child.handler = std::move(handler);
  return made;
} catch (const std::bad_alloc&) {
  error = refusal(std::errc::not_enough_memory);
  return {};
}

bool ReactorCore::is_child_watched(int pid) const noexcept {
  for (std::uint32_t i = 0; i < notices_.size(); ++i) {
    const Notice& notice = notices_.slot(i);
    if (notice.kind == Notice::Kind::child && notice.number == pid) return true;
  }
  return false;
}

/// Has the kernel report the child's end like any readiness, where it can.
bool ReactorCore::watch_child_handle(std::uint32_t index) {
  Notice& child = notices_.slot(index);
  child.handle = platform::open_child(child.number, stats_.system_calls);
  if (child.handle == no_handle) return false;
  child.kind = Notice::Kind::child;
  std::error_code error;
  child.watch =
      watch(child.handle, Interest::readable,
            Handler<void>{[this, index] { notices_.set_due(index, true); }}, Watched::own, error);
  if (error) silence(index);
  return !error;
}

/// Looks at the child in the next turn, and from then on whenever any child has ended.
std::error_code ReactorCore::watch_child_signal(std::uint32_t index) noexcept {
  const std::error_code error = signals_.subscribe(platform::child_signal, stats_.system_calls);
  if (error) return error;
  notices_.slot(index).kind = Notice::Kind::child;
  look_at_children_ = true;
  calm_ = false;
  if (prepared_) reschedule();
  return {};
}

/// From now on nothing is heard of it; only its handler is still there.
void ReactorCore::silence(std::uint32_t index) noexcept {
  Notice& notice = notices_.slot(index);
  notices_.set_due(index, false);
  const Notice::Kind kind = std::exchange(notice.kind, Notice::Kind::silent);
  if (kind == Notice::Kind::signal) signals_.unsubscribe(notice.number, stats_.system_calls);
  if (kind != Notice::Kind::child) return;
  if (notice.handle == no_handle) {
    signals_.unsubscribe(platform::child_signal, stats_.system_calls);
  } else {
    notice.watch.reset();
    platform::close_handle(std::exchange(notice.handle, no_handle), stats_.system_calls);
  }
}

void ReactorCore::end_notice(Token token) noexcept {
  if (notices_.find(token) == nullptr) return;
  silence(token.slot);
  if (telling_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    notices_.disown(token.slot);
    telling_.ended = true;
  } else {
    notices_.release(token.slot);
  }
}

/// In the child of a fork: the children are its brothers, and what was raised was the parent's.
void ReactorCore::leave_notices_to_parent() noexcept {
  look_at_children_ = false;
  for (std::uint32_t i = 0; i < notices_.size(); ++i) {
    if (notices_.slot(i).kind == Notice::Kind::child) silence(i);
    notices_.set_due(i, false);
  }
}

void ReactorCore::collect_notices() noexcept {
  if (!bell_.take(Doorbell::signal) && !look_at_children_) return;
  calm_ = false;  // what is due now may have to wait for the next turn
  const platform::SignalSet raised = signals_.take();
  const auto was_raised = [&raised](int signo) { return raised[static_cast<std::size_t>(signo)]; };
  const bool look = std::exchange(look_at_children_, false) || was_raised(platform::child_signal);
  for (std::uint32_t i = 0; i < notices_.size(); ++i) {
    const Notice& notice = notices_.slot(i);
    const bool signal = notice.kind == Notice::Kind::signal && was_raised(notice.number);
    const bool child = notice.kind == Notice::Kind::child && notice.handle == no_handle && look;
    if (signal || child) notices_.set_due(i, true);
  }
}

std::size_t ReactorCore::tell_notices() {
  std::size_t called = 0;
  notices_.begin_turn();
  for (std::uint32_t i = 0; notices_.any_due() && i < notices_.size(); ++i) {
    if (!notices_.slot(i).due || !notices_.slot(i).now) continue;
    if (tell_notice(i)) ++called;
    if (stopped()) break;
  }
  return called;
}

bool ReactorCore::tell_notice(std::uint32_t index) {
  Notice& notice = notices_.slot(index);
  notices_.set_due(index, false);
  if (notice.kind == Notice::Kind::signal) {
    call_notice(index, &notice.number);
    return true;
  }
  // Waited for only now: a handler that was called before this one may have ended the watch, and
  // then the child is left to its owner.
  std::optional<ChildExit> exit = platform::reap(notice.number, notice.handle, stats_.system_calls);
  if (!exit && notice.handle == no_handle) return false;
  silence(index);
  if (!exit) {
    // It has ended, but a debugger keeps it from us, and its handle would turn the loop for as
    // long. The signal comes when it is let go.
    const std::error_code error = watch_child_signal(index);
    if (!error) return false;
    exit.emplace(notice.number, error);
  }
  call_notice(index, &*exit);
  return true;
}

void ReactorCore::call_notice(std::uint32_t index, const void* argument) {
  const WhileCalled called{notices_, telling_, index};
  ++stats_.notices;
  notices_.slot(index).handler.call(argument);
}

}  // namespace pollux::detail
