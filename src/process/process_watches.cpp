// SPDX-License-Identifier: MIT
// Signals and children: how the system reports them, and how they are delivered.
#include <new>
#include <optional>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "loop/reactor_core.hpp"
#include "platform/children.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

ProcessWatchBase ReactorCore::watch_signal(int signo, AnyHandler&& handler,
                                           std::error_code& error) try {
  error = refusal_to_register();
  if (error) return {};
  collect_process_events();  // what was raised before is not for this one
  const Token token = process_watches_.acquire();
  ProcessWatchBase made{*this, token};
  error = signals_.subscribe(signo, stats_.system_calls);
  if (error) return {};
  ProcessWatch& signal = process_watches_.slot(token.slot);
  signal.kind = ProcessWatch::Kind::signal;
  signal.number = signo;
  signal.handler = std::move(handler);
  return made;
} catch (const std::bad_alloc&) {
  error = refusal(std::errc::not_enough_memory);
  return {};
}

ProcessWatchBase ReactorCore::watch_child(int pid, AnyHandler&& handler,
                                          std::error_code& error) try {
  error = refusal_to_register();
  if (!error) error = platform::check_child(pid, stats_.system_calls);
  if (!error && is_child_watched(pid)) error = refusal(std::errc::file_exists);
  if (error) return {};
  const Token token = process_watches_.acquire();
  ProcessWatchBase made{*this, token};
  ProcessWatch& child = process_watches_.slot(token.slot);
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
  for (std::uint32_t i = 0; i < process_watches_.size(); ++i) {
    const ProcessWatch& watched = process_watches_.slot(i);
    if (watched.kind == ProcessWatch::Kind::child && watched.number == pid) return true;
  }
  return false;
}

/// Has the kernel report the child's end like any readiness, where it can.
bool ReactorCore::watch_child_handle(std::uint32_t index) {
  ProcessWatch& child = process_watches_.slot(index);
  child.handle = platform::open_child(child.number, stats_.system_calls);
  if (child.handle == no_handle) return false;
  child.kind = ProcessWatch::Kind::child;
  std::error_code error;
  child.watch = watch(child.handle, Interest::readable,
                      Handler<void>{[this, index] { process_watches_.set_due(index, true); }},
                      Watched::internal, error);
  if (error) detach_from_system(index);
  return !error;
}

/// Looks at the child in the next turn, and from then on whenever any child has ended.
std::error_code ReactorCore::watch_child_signal(std::uint32_t index) noexcept {
  const std::error_code error = signals_.subscribe(platform::child_signal, stats_.system_calls);
  if (error) return error;
  process_watches_.slot(index).kind = ProcessWatch::Kind::child;
  check_children_ = true;
  nothing_pending_ = false;
  if (prepared_) reschedule();
  return {};
}

/// From now on the system reports nothing of it; only its handler is still there.
void ReactorCore::detach_from_system(std::uint32_t index) noexcept {
  ProcessWatch& watched = process_watches_.slot(index);
  process_watches_.set_due(index, false);
  const ProcessWatch::Kind kind = std::exchange(watched.kind, ProcessWatch::Kind::detached);
  if (kind == ProcessWatch::Kind::signal) signals_.unsubscribe(watched.number, stats_.system_calls);
  if (kind != ProcessWatch::Kind::child) return;
  if (watched.handle == no_handle) {
    signals_.unsubscribe(platform::child_signal, stats_.system_calls);
  } else {
    watched.watch.reset();
    platform::close_handle(std::exchange(watched.handle, no_handle), stats_.system_calls);
  }
}

void ReactorCore::end_process_watch(Token token) noexcept {
  if (process_watches_.find(token) == nullptr) return;
  detach_from_system(token.slot);
  if (delivering_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    process_watches_.disown(token.slot);
    delivering_.ended = true;
  } else {
    process_watches_.release(token.slot);
  }
}

/// In the child of a fork: the children are its brothers, and what was raised was the parent's.
void ReactorCore::leave_process_watches_to_parent() noexcept {
  check_children_ = false;
  for (std::uint32_t i = 0; i < process_watches_.size(); ++i) {
    if (process_watches_.slot(i).kind == ProcessWatch::Kind::child) detach_from_system(i);
    process_watches_.set_due(i, false);
  }
}

void ReactorCore::collect_process_events() noexcept {
  if (!wakeup_.consume(Wakeup::signal) && !check_children_) return;
  nothing_pending_ = false;  // what is due now may have to wait for the next turn
  const platform::SignalSet raised = signals_.take();
  const auto was_raised = [&raised](int signo) { return raised[static_cast<std::size_t>(signo)]; };
  const bool look = std::exchange(check_children_, false) || was_raised(platform::child_signal);
  for (std::uint32_t i = 0; i < process_watches_.size(); ++i) {
    const ProcessWatch& watched = process_watches_.slot(i);
    const bool signal = watched.kind == ProcessWatch::Kind::signal && was_raised(watched.number);
    const bool child =
        watched.kind == ProcessWatch::Kind::child && watched.handle == no_handle && look;
    if (signal || child) process_watches_.set_due(i, true);
  }
}

std::size_t ReactorCore::deliver_process_events() {
  std::size_t called = 0;
  process_watches_.begin_turn();
  for (std::uint32_t i = 0; process_watches_.any_due() && i < process_watches_.size(); ++i) {
    if (!process_watches_.slot(i).due || !process_watches_.slot(i).now) continue;
    if (deliver_process_event(i)) ++called;
    if (stopped()) break;
  }
  return called;
}

bool ReactorCore::deliver_process_event(std::uint32_t index) {
  ProcessWatch& watched = process_watches_.slot(index);
  process_watches_.set_due(index, false);
  if (watched.kind == ProcessWatch::Kind::signal) {
    call_process_handler(index, &watched.number);
    return true;
  }
  // Waited for only now: a handler that was called before this one may have ended the watch, and
  // then the child is left to its owner.
  std::optional<ChildExit> exit =
      platform::reap(watched.number, watched.handle, stats_.system_calls);
  if (!exit && watched.handle == no_handle) return false;
  detach_from_system(index);
  if (!exit) {
    // It has ended, but a debugger keeps it from us, and its handle would turn the loop for as
    // long. The signal comes when it is let go.
    const std::error_code error = watch_child_signal(index);
    if (!error) return false;
    exit.emplace(watched.number, error);
  }
  call_process_handler(index, &*exit);
  return true;
}

void ReactorCore::call_process_handler(std::uint32_t index, const void* argument) {
  const WhileCalled called{process_watches_, delivering_, index};
  ++stats_.notices;
  process_watches_.slot(index).handler.call(argument);
}

}  // namespace pollux::detail
