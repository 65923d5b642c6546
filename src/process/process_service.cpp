// SPDX-License-Identifier: MIT
#include "process/process_service.hpp"

#include <new>
#include <optional>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

namespace pollux::detail {

Token ProcessService::watch_signal(int signo, AnyHandler&& handler, std::error_code& error) try {
  error = loop_.refusal_to_register();
  if (!error && signo == platform::child_signal && !platform::child_signal_is_of_the_system)
    error = system_error_code(std::errc::invalid_argument);
  if (error) return {};
  collect();  // what was raised before is not for this one
  const Token token = watches_.acquire();
  error = signals_.subscribe(signo);
  if (error) {
    watches_.release(token.slot);
    return {};
  }
  ProcessWatch& signal = watches_.slot(token.slot);
  set_kind(signal, ProcessWatch::Kind::signal);
  signal.number = signo;
  signal.handler = std::move(handler);
  return token;
} catch (const std::bad_alloc&) {
  error = system_error_code(std::errc::not_enough_memory);
  return {};
}

Token ProcessService::watch_child(platform::ChildId id, AnyHandler&& handler,
                                  std::error_code& error) try {
  error = loop_.refusal_to_register();
  if (!error) error = children_.check(id);
  if (!error && is_child_watched(id.pid)) error = system_error_code(std::errc::file_exists);
  if (error) return {};
  const Token token = watches_.acquire();
  ProcessWatch& child = watches_.slot(token.slot);
  child.number = id.pid;
  error = children_.open(id, child.handle);
  if (!error && !watch_child_handle(token.slot)) error = watch_child_signal(token.slot);
  if (error) {
    watches_.release(token.slot);
    return {};
  }
  child.handler = std::move(handler);
  return token;
} catch (const std::bad_alloc&) {
  error = system_error_code(std::errc::not_enough_memory);
  return {};
}

bool ProcessService::is_child_watched(int pid) const noexcept {
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    const ProcessWatch& watched = watches_.slot(i);
    if (watched.kind == ProcessWatch::Kind::child && watched.number == pid) return true;
  }
  return false;
}

/// Has the kernel report the child's end like any readiness, where it can.
bool ProcessService::watch_child_handle(std::uint32_t index) {
  ProcessWatch& child = watches_.slot(index);
  if (child.handle == no_handle || !platform::child_handles_are_readable) return false;
  child.by_signal = false;
  set_kind(child, ProcessWatch::Kind::child);
  std::error_code error;
  child.watch = registrations_.watch_internal(child.handle, Interest::readable,
                                              Handler<Readiness>{[this, index](Readiness) {
                                                watches_.set_due(index, true);
                                                loop_.work_added();
                                              }},
                                              error);
  if (error) detach_from_system(index);
  return !error;
}

/// Has the child checked in the next turn, and from then on whenever any child has ended.
std::error_code ProcessService::watch_child_signal(std::uint32_t index) noexcept {
  ProcessWatch& child = watches_.slot(index);
  const std::error_code error = signals_.subscribe(platform::child_signal);
  if (error) {
    close_child(child);
    return error;
  }
  child.by_signal = true;
  set_kind(child, ProcessWatch::Kind::child);
  check_children_ = true;
  loop_.work_added();
  return {};
}

/// What it was.
ProcessWatch::Kind ProcessService::set_kind(ProcessWatch& watched,
                                            ProcessWatch::Kind kind) noexcept {
  if (watched.kind != ProcessWatch::Kind::detached && --active_ == 0) loop_.something_ended();
  if (kind != ProcessWatch::Kind::detached) ++active_;
  return std::exchange(watched.kind, kind);
}

/// From now on the system reports nothing of it; only its handler is still there.
void ProcessService::detach_from_system(std::uint32_t index) noexcept {
  ProcessWatch& watched = watches_.slot(index);
  watches_.set_due(index, false);
  const ProcessWatch::Kind kind = set_kind(watched, ProcessWatch::Kind::detached);
  if (kind == ProcessWatch::Kind::signal) signals_.unsubscribe(watched.number);
  if (kind != ProcessWatch::Kind::child) return;
  if (watched.by_signal) signals_.unsubscribe(platform::child_signal);
  close_child(watched);
}

void ProcessService::close_child(ProcessWatch& child) noexcept {
  child.watch.reset();
  if (child.handle != no_handle) children_.close(std::exchange(child.handle, no_handle));
}

void ProcessService::end(Token token) noexcept {
  if (watches_.find(token) == nullptr) return;
  detach_from_system(token.slot);
  if (called_.index == token.slot) {
    // Its handler is running, and must live until it returns.
    watches_.disown(token.slot);
    called_.ended = true;
  } else {
    watches_.release(token.slot);
  }
}

void ProcessService::leave_to_parent() noexcept {
  check_children_ = false;
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    if (watches_.slot(i).kind == ProcessWatch::Kind::child) detach_from_system(i);
    watches_.set_due(i, false);
  }
}

void ProcessService::take_raised() noexcept {
  loop_.wakeup.consume(Wakeup::signal);
  loop_.work_added();  // what is due now may have to wait for the next turn
  const platform::SignalSet raised = signals_.take();
  const auto was_raised = [&raised](int signo) { return raised[static_cast<std::size_t>(signo)]; };
  const bool check = std::exchange(check_children_, false) || was_raised(platform::child_signal);
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    const ProcessWatch& watched = watches_.slot(i);
    const bool signal = watched.kind == ProcessWatch::Kind::signal && was_raised(watched.number);
    const bool child = watched.kind == ProcessWatch::Kind::child && watched.by_signal && check;
    if (signal || child) watches_.set_due(i, true);
  }
}

std::size_t ProcessService::deliver() {
  std::size_t called = 0;
  watches_.begin_turn();
  for (std::uint32_t i = 0; watches_.any_due() && i < watches_.size(); ++i) {
    if (!watches_.slot(i).due || !watches_.slot(i).now) continue;
    if (deliver_one(i)) ++called;
    if (loop_.stopped()) break;
  }
  return called;
}

bool ProcessService::deliver_one(std::uint32_t index) {
  ProcessWatch& watched = watches_.slot(index);
  watches_.set_due(index, false);
  if (watched.kind == ProcessWatch::Kind::signal) {
    call_handler(index, &watched.number);
    return true;
  }
  // Waited for only now: a handler that was called before this one may have ended the watch, and
  // then the child is left to its owner.
  std::optional<ChildExit> exit = children_.reap(watched.number, watched.handle);
  if (!exit && watched.by_signal) return false;
  detach_from_system(index);
  if (!exit) {
    // The child has exited but is being traced, so that waitid() cannot reap it, while its handle
    // stays readable and would spin the loop. SIGCHLD arrives when the tracer detaches.
    const std::error_code error = watch_child_signal(index);
    if (!error) return false;
    exit.emplace(watched.number, error);
  }
  call_handler(index, &*exit);
  return true;
}

void ProcessService::call_handler(std::uint32_t index, const void* argument) {
  const WhileCalled called{watches_, called_, index};
  ++loop_.stats.process_events;
  watches_.slot(index).handler.call(argument);
}

void ProcessService::destroy_handlers() noexcept {
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    detach_from_system(i);
    if (watches_.slot(i).handler) watches_.release(i);
  }
}

void ProcessService::dump(std::string& to) const {
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    const ProcessWatch& watched = watches_.slot(i);
    if (watched.kind == ProcessWatch::Kind::detached) continue;
    const bool is_signal = watched.kind == ProcessWatch::Kind::signal;
    to += (is_signal ? "  signal " : "  child ") + std::to_string(watched.number);
    if (!is_signal) to += watched.by_signal ? ", by the signal of children" : ", by a descriptor";
    if (watched.due) to += is_signal ? ", raised and not yet delivered" : ", to be checked";
    to += '\n';
  }
}

}  // namespace pollux::detail
