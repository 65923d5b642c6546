// SPDX-License-Identifier: MIT
// What a service above the loop takes part in a turn by.
#pragma once

#include <cstddef>

namespace pollux::detail {

/// The loop calls it in each turn in which something is pending: LoopContext::work_added().
class TurnHook {
 public:
  TurnHook() = default;
  TurnHook(const TurnHook&) = delete;
  TurnHook& operator=(const TurnHook&) = delete;
  virtual ~TurnHook() = default;

  /// Before the wait. Calls no handler.
  virtual void prepare() noexcept = 0;
  /// Whether deliver() has anything to do: then the wait does not wait.
  virtual bool has_work() const noexcept = 0;
  /// Calls handlers: how many.
  virtual std::size_t deliver() = 0;
  /// In the child of a fork, which goes on with the reactor.
  virtual void after_fork() noexcept = 0;
  /// The reactor goes. The hook lives as long as anything that is registered.
  virtual void close() noexcept = 0;
};

}  // namespace pollux::detail
