// SPDX-License-Identifier: MIT
// A loop of another library, with a reactor inside: what the adapters are tested by, all alike.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>

#include <pollux/reactor.hpp>

namespace pollux::embed {

/// One loop of the library's own, in the thread that made it.
class Host {
 public:
  virtual ~Host() = default;

  /// Makes the adapter.
  virtual void embed(Reactor& reactor) = 0;
  /// Destroys it; perhaps from inside a handler.
  virtual void release() = 0;

  /// One pass of the loop, which sleeps until something happens, but no longer than that.
  virtual void pass(std::chrono::milliseconds at_most) = 0;
  /// Has a timer of the library's call `f`, once.
  virtual void call_after(std::chrono::milliseconds delay, std::function<void()> f) = 0;
  /// Has the library call `f` at each of its passes, none of which sleeps then, until `f` says
  /// false.
  virtual void call_always(std::function<bool()> f) = 0;

  /// Called with what a handler throws. Without it, pass() throws.
  virtual void on_exception(std::function<void(std::exception_ptr)> handler) = 0;
  /// In the child of a fork, before the reactor is told.
  virtual void after_fork() = 0;
  /// Whether a callback may run the loop it is called by.
  virtual bool can_nest() const = 0;
};

/// Which library this program is linked with, and a loop of it: one file a library.
std::string_view host_name();
std::unique_ptr<Host> make_host();

}  // namespace pollux::embed
