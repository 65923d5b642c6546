// SPDX-License-Identifier: MIT
// What the handles of watches ask for: to watch, to change the interest, to end, to close.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>
#include <pollux/handler.hpp>

#include "base/loop_context.hpp"
#include "io/backend_set.hpp"
#include "io/capabilities.hpp"
#include "io/internal_watch.hpp"
#include "io/prober.hpp"
#include "io/watch_table.hpp"

namespace pollux::detail {

class Registrations {
 public:
  Registrations(LoopContext& loop, const Capabilities& capabilities) noexcept;

  // For the handles of watches. A token that names nothing (any more) is answered with
  // Errc::watch_closed.

  Token watch(NativeHandle handle, Interest interest, AnyHandler&& handler, Watched as,
              std::error_code& error);
  /// A watch of the loop's own, for readiness.
  InternalWatch watch_internal(NativeHandle handle, Interest interest, Handler<Readiness> handler,
                               std::error_code& error);
  void set_interest(Token token, Interest interest, std::error_code& error) noexcept;
  Interest interest(Token token) const noexcept;
  PeerClosedLatency peer_closed_latency(Token token) noexcept;
  bool is_registered(Token token) const noexcept { return table().find(token) != nullptr; }
  /// What kind of stream is watched under this number. There is one.
  StreamKind stream_kind(NativeHandle handle) const noexcept {
    return table().slot(table().by_handle(handle)).type.kind;
  }
  /// The watch whose handler is running.
  Token called_token() const noexcept { return table().token(called_.index); }
  void shutdown(Token token, Shutdown how, std::error_code& error) noexcept;
  void unwatch(Token token) noexcept;
  bool close_watch(Token token) noexcept;

  // For the loop and the delivery.

  /// How many watches there are, those of the loop's own not included.
  std::size_t count() const noexcept { return count_; }
  BackendSet& set() noexcept { return set_; }
  const BackendSet& set() const noexcept { return set_; }
  Prober& prober() noexcept { return prober_; }
  /// The watch whose handler is running.
  CalledSlot& called() noexcept { return called_; }
  /// Says to a new tracer what is watched already.
  void introduce_watches() const noexcept;
  /// Adds a line for each watch, as Reactor::dump() has it.
  void dump(std::string& to) const;
  /// See Prober.
  void learn_fin_number(Slot& slot) noexcept;

  void leave_kernel() noexcept;
  /// When the loop is closed: what the handlers have captured goes.
  void destroy_handlers() noexcept;
  /// In the child of a fork: a set of its own, with the same watches.
  std::error_code leave_parent();
  /// Afterwards, when the backend is its own.
  void after_fork() noexcept;

 private:
  WatchTable& table() noexcept { return set_.table(); }
  const WatchTable& table() const noexcept { return set_.table(); }
  std::error_code begin_detached(std::uint32_t index, std::uint32_t other);
  void trace_watched(std::uint32_t index) const noexcept;

  LoopContext& loop_;
  BackendSet set_;
  Prober prober_;
  std::size_t count_ = 0;
  CalledSlot called_;
};

inline void InternalWatch::reset() noexcept {
  if (Registrations* const from = std::exchange(registrations_, nullptr)) from->unwatch(token_);
}

}  // namespace pollux::detail
