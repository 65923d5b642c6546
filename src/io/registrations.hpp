// SPDX-License-Identifier: MIT
// What is watched, and what the backend is asked for. Additions and removals go to the backend at
// once, changes of interest with the next turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>
#include <pollux/handler.hpp>

#include "base/loop_context.hpp"
#include "io/capabilities.hpp"
#include "io/detached.hpp"
#include "io/internal_watch.hpp"
#include "io/prober.hpp"
#include "io/retry_queue.hpp"
#include "io/watch_table.hpp"

namespace pollux::detail {

/// What a descriptor is watched as.
enum class Watched : std::uint8_t { readiness, stream, internal };

/// A backend's word that a registration has gone with its descriptor.
inline bool is_gone(const std::error_code& error) {
  return error &&
         (error == std::errc::bad_file_descriptor || error == std::errc::no_such_file_or_directory);
}

class Registrations {
 public:
  using time_point = LoopContext::time_point;

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
  bool is_registered(Token token) const noexcept { return table_.find(token) != nullptr; }
  /// The watch whose handler is running.
  Token called_token() const noexcept { return table_.token(called_.index); }
  void unwatch(Token token) noexcept;
  bool close_watch(Token token) noexcept;

  // For the loop.

  /// How many watches there are, those of the loop's own not included.
  std::size_t count() const noexcept { return count_; }
  bool has_changes() const noexcept { return changes_ != 0; }
  bool has_retries() const noexcept { return !retries_.empty(); }
  /// When the next watch is to be asked about again; time_point::max() without any.
  time_point next_deadline() const noexcept { return retries_.next(); }
  /// Before a wait: tells the backend what has changed.
  void prepare() {
    if (has_retries()) run_due_retries();
    if (has_changes()) apply_changes();
  }
  /// The backend's set has something that it should have forgotten: makes a new one.
  std::error_code rebuild();

  void leave_kernel() noexcept;
  /// When the loop is closed: what the handlers have captured goes.
  void destroy_handlers() noexcept;
  /// In the child of a fork: a set of its own, with the same watches.
  std::error_code leave_parent();
  /// Afterwards, when the backend is its own.
  void after_fork() noexcept;

  // For the delivery.

  WatchTable& table() noexcept { return table_; }
  Detached& detached() noexcept { return detached_; }
  Prober& prober() noexcept { return prober_; }
  const Capabilities& capabilities() const noexcept { return capabilities_; }
  Traits traits(const Slot& slot) const noexcept {
    return {slot.type.kind, capabilities_.knows_fin, capabilities_.knows_over,
            capabilities_.reports_failures_unasked,
            slot.type.has(Quirk::urgent) && capabilities_.knows_urgent};
  }
  /// The number of this turn, as Slot::verified_in has it.
  std::uint32_t epoch() const noexcept { return static_cast<std::uint32_t>(loop_.turn); }
  bool is_verified(const Slot& slot) const noexcept { return epoch() - slot.verified_in <= 1; }
  /// Asks the backend whether a number still is what is watched under it.
  bool is_gone_from_kernel(std::uint32_t index, Slot& slot);
  /// What is to be asked for may be another: the next turn tells the backend.
  void note_change(std::uint32_t index) noexcept;
  /// Its descriptor was closed under it: it gets no event any more.
  void note_closed(std::uint32_t index) noexcept;
  /// Its number was reported for the last time: it leaves the backend's set.
  void note_over(std::uint32_t index) noexcept;
  void schedule_retry(std::uint32_t index) noexcept;
  void cancel_retry(std::uint32_t index) noexcept {
    if (has_retries()) retries_.remove(index);
  }
  void take_from_kernel(std::uint32_t index) noexcept;
  /// See Prober.
  void learn_fin_number(Slot& slot) noexcept;
  /// The watch whose handler is running.
  CalledSlot& called() noexcept { return called_; }

 private:
  RawInterest wanted(const Slot& slot) const noexcept;
  RawInterest wanted_by_state(const Slot& slot) const noexcept;
  std::error_code begin_detached(std::uint32_t index, std::uint32_t other);
  std::error_code install(std::uint32_t index, RawInterest wanted);
  std::error_code install(Slot& slot, Token token, RawInterest wanted);
  std::error_code install_again(Slot& slot, Token token, RawInterest wanted);
  std::error_code set_backend_interest(Slot& slot, Token token, RawInterest wanted);
  void take_from_kernel(Slot& slot, Token token) noexcept;
  void make_room();
  void apply_changes();
  void apply_change(std::uint32_t index);
  void change_failed(std::uint32_t index, std::error_code error);
  void mask_without_edges(std::uint32_t index, RawInterest wanted);
  void run_due_retries();
  std::error_code reinstall_all();

  LoopContext& loop_;
  const Capabilities capabilities_;
  Prober prober_{loop_, capabilities_};
  WatchTable table_;
  Detached detached_{loop_, table_};
  RetryQueue retries_;  ///< watches to ask about again, later
  /// Watches whose interest may have to be changed in the kernel, each once: the first `changes_`.
  std::vector<std::uint32_t> changed_;
  std::size_t changes_ = 0;
  std::size_t count_ = 0;
  bool can_edge_ = true;  ///< until the backend has answered that it can't
  CalledSlot called_;     ///< the watch whose handler is running
};

inline void InternalWatch::reset() noexcept {
  if (Registrations* const from = std::exchange(registrations_, nullptr)) from->unwatch(token_);
}

}  // namespace pollux::detail
