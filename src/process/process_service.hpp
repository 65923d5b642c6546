// SPDX-License-Identifier: MIT
// Signals and children: how the system reports them, and how they are delivered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/detail/any_handler.hpp>

#include "base/loop_context.hpp"
#include "io/registrations.hpp"
#include "platform/children.hpp"
#include "platform/signals.hpp"
#include "process/process_watch_table.hpp"

namespace pollux::detail {

class ProcessService {
 public:
  ProcessService(LoopContext& loop, Registrations& registrations) noexcept
      : loop_{loop},
        registrations_{registrations},
        children_{loop.system_calls},
        signals_{loop.wakeup, loop.system_calls} {}

  Token watch_signal(int signo, AnyHandler&& handler, std::error_code& error);
  Token watch_child(platform::ChildId id, AnyHandler&& handler, std::error_code& error);
  bool is_registered(Token token) const noexcept { return watches_.find(token) != nullptr; }
  /// The watch whose handler is running.
  Token called_token() const noexcept { return watches_.token(called_.index); }
  void end(Token token) noexcept;

  // What the loop asks.

  /// Whether there is a signal watch, or a child that is yet to be delivered.
  bool any_active() const noexcept { return active_ != 0; }
  /// Whether there is something to deliver, or a child to check.
  bool has_work() const noexcept { return watches_.any_due() || check_children_; }
  /// Takes what was raised by now: it is for this turn, what is raised from here on for the next.
  void collect() noexcept {
    if (loop_.wakeup.is_pending(Wakeup::signal) || check_children_) take_raised();
  }
  /// Whether collect() has found something to deliver.
  bool any_due() const noexcept { return watches_.any_due(); }
  /// Calls the handlers of what collect() has found: how many.
  std::size_t deliver();

  /// Adds a line for each signal and child, as Reactor::dump() has it.
  void dump(std::string& to) const;

  void leave_kernel() noexcept { signals_.close(); }
  /// When the loop is closed: what the handlers have captured goes.
  void destroy_handlers() noexcept;
  /// In the child of a fork: the children are its brothers, and what was raised was the parent's.
  void leave_to_parent() noexcept;
  /// Afterwards, when the backend is its own.
  void after_fork() noexcept { signals_.after_fork(); }

 private:
  bool is_child_watched(int pid) const noexcept;
  bool watch_child_handle(std::uint32_t index);
  std::error_code watch_child_signal(std::uint32_t index) noexcept;
  ProcessWatch::Kind set_kind(ProcessWatch& watched, ProcessWatch::Kind kind) noexcept;
  void detach_from_system(std::uint32_t index) noexcept;
  void close_child(ProcessWatch& child) noexcept;
  void take_raised() noexcept;
  bool deliver_one(std::uint32_t index);
  void call_handler(std::uint32_t index, const void* argument);

  LoopContext& loop_;
  Registrations& registrations_;
  ProcessWatchTable watches_;
  platform::Children children_;
  platform::SignalInbox signals_;
  std::size_t active_ = 0;       ///< watches that are not detached
  bool check_children_ = false;  ///< those without a handle, although nothing was raised
  CalledSlot called_;            ///< the watch whose handler is running
};

}  // namespace pollux::detail
