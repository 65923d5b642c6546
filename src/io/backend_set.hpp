// SPDX-License-Identifier: MIT
// The table of watches, and what the backend is asked for each. Additions and removals go to the
// backend at once, changes of interest with the next turn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/events.hpp>

#include "base/loop_context.hpp"
#include "io/capabilities.hpp"
#include "io/detached.hpp"
#include "io/retry_queue.hpp"
#include "io/stream_lifecycle.hpp"
#include "io/watch_table.hpp"

namespace pollux::detail {

/// A backend's word that a registration has gone with its descriptor.
inline bool is_gone(const std::error_code& error) {
  return error &&
         (error == std::errc::bad_file_descriptor || error == std::errc::no_such_file_or_directory);
}

class BackendSet {
 public:
  /// `registrations` watches what the loop itself needs, and outlives this.
  BackendSet(LoopContext& loop, const Capabilities& capabilities,
             Registrations& registrations) noexcept
      : loop_{loop}, capabilities_{capabilities}, detached_{loop, table_, registrations} {}

  WatchTable& table() noexcept { return table_; }
  const WatchTable& table() const noexcept { return table_; }
  Detached& detached() noexcept { return detached_; }
  const Capabilities& capabilities() const noexcept { return capabilities_; }
  Traits traits(const Slot& slot) const noexcept {
    return {slot.type.kind,
            capabilities_.knows_fin,
            capabilities_.knows_over,
            capabilities_.reports_failures_unasked,
            slot.type.has(Quirk::urgent) && capabilities_.knows_urgent,
            slot.type.has(Quirk::silent)};
  }

  // What is asked for.

  /// What the backend is to be asked for, by the watch's interest and its state.
  RawInterest wanted(const Slot& slot) const noexcept;
  /// Asks for `wanted`, at once: the watch is added, changed, or removed. On error the old interest
  /// holds.
  std::error_code install(std::uint32_t index, RawInterest wanted) {
    return install(table_.slot(index), table_.token(index), wanted);
  }
  std::error_code install(Slot& slot, Token token, RawInterest wanted);
  void take_from_kernel(std::uint32_t index) noexcept {
    take_from_kernel(table_.slot(index), table_.token(index));
  }
  void take_from_kernel(Slot& slot, Token token) noexcept;
  /// What is to be asked for may be another: the next turn tells the backend.
  void note_change(std::uint32_t index) noexcept;
  /// Its descriptor was closed under it: it gets no event any more.
  void note_closed(std::uint32_t index) noexcept;
  /// It has had its last report, for now or for good: it leaves the backend's set.
  void note_over(std::uint32_t index) noexcept;
  /// Has the backend asked again after a while, longer each time.
  void schedule_retry(std::uint32_t index) noexcept;
  void cancel_retry(std::uint32_t index) noexcept {
    if (has_retries()) retries_.remove(index);
  }
  /// The next turn asks what is true of it, although nothing may be reported.
  void schedule_recheck(std::uint32_t index) noexcept;
  /// So that note_change(), schedule_retry(), schedule_recheck() and Detached::add() never
  /// allocate.
  void make_room();

  // Whose a number is.

  /// The number of this turn, as Slot::verified_in has it.
  std::uint32_t epoch() const noexcept { return static_cast<std::uint32_t>(loop_.turn); }
  bool is_verified(const Slot& slot) const noexcept { return epoch() - slot.verified_in <= 1; }
  /// Asks the backend whether a number still is what is watched under it.
  bool is_gone_from_kernel(std::uint32_t index, Slot& slot);

  // For the loop.

  bool has_changes() const noexcept { return changes_ != 0; }
  bool has_retries() const noexcept { return !retries_.empty(); }
  bool has_rechecks() const noexcept { return rechecks() != 0; }
  std::size_t rechecks() const noexcept { return rechecks_.size() - taken_rechecks_; }
  /// The watch that waits longest to be rechecked, which it does no longer. There is one.
  std::uint32_t take_recheck() noexcept;
  /// When the next watch is to be asked about again; time_point::max() without any.
  LoopContext::time_point next_deadline() const noexcept { return retries_.next(); }
  /// When that watch is to be asked about again; time_point::max() if it is not.
  LoopContext::time_point retry_time(std::uint32_t index) const noexcept {
    return retries_.time_of(index);
  }
  /// Before a wait: tells the backend what has changed.
  void prepare() {
    if (has_retries()) run_due_retries();
    if (has_changes()) apply_changes();
  }
  /// The backend's set has something that it should have forgotten: makes a new one.
  std::error_code rebuild();
  /// The same, where the old set is not to be asked: it is the parent's.
  std::error_code reinstall_all();

 private:
  RawInterest wanted_by_state(const Slot& slot) const noexcept;
  std::error_code set_backend_interest(Slot& slot, Token token, RawInterest wanted);
  std::error_code install_again(Slot& slot, Token token, RawInterest wanted);
  void apply_changes();
  void apply_change(std::uint32_t index);
  void change_failed(std::uint32_t index, std::error_code error);
  void mask_without_edges(std::uint32_t index, RawInterest wanted);
  void drop_taken_rechecks() noexcept;
  void run_due_retries();

  LoopContext& loop_;
  const Capabilities capabilities_;
  WatchTable table_;
  Detached detached_;
  RetryQueue retries_;  ///< watches to ask about again, later
  /// Watches whose interest may have to be changed in the kernel, each once: the first `changes_`.
  std::vector<std::uint32_t> changed_;
  std::size_t changes_ = 0;
  /// Watches to recheck, each once, behind the first `taken_rechecks_`.
  std::vector<std::uint32_t> rechecks_;
  std::size_t taken_rechecks_ = 0;
  bool can_edge_ = true;  ///< until the backend has answered that it can't
};

// Here for the compiler to see: what each registration and each change takes.

/// A readiness watch that asks for nothing gets no event, and so must be outside the set: hang-up
/// and error cannot be asked away, and would turn the loop for ever.
constexpr RawInterest readiness_interest(Interest interest) {
  RawInterest bits = RawInterest::none;
  if (any(interest, Interest::readable)) bits |= RawInterest::in;
  if (any(interest, Interest::writable)) bits |= RawInterest::out;
  if (any(interest, Interest::priority)) bits |= RawInterest::pri;
  if (any(interest, Interest::edge) && bits != RawInterest::none) bits |= RawInterest::edge;
  return bits;
}

/// What a watch on the fast path asks for before its first end or failure, by kind and interest: a
/// readiness watch, a socket, a pipe's reader; a socket that shows urgent bytes.
inline constexpr std::size_t urgent_row = 3;
inline constexpr auto fast_path_interests = [] {
  std::array<std::array<RawInterest, 64>, 4> wanted{};
  for (unsigned bits = 0; bits < 64; ++bits) {
    const auto interest = static_cast<Interest>(bits);
    wanted[0][bits] = readiness_interest(interest);
    for (const StreamKind kind : {StreamKind::socket, StreamKind::pipe_reader}) {
      const Traits traits{.kind = kind, .knows_fin = true, .reports_failures_unasked = true};
      wanted[static_cast<std::size_t>(kind) + 1][bits] = raw_interest(traits, interest, State{});
    }
    const Traits urgent{.knows_fin = true, .reports_failures_unasked = true, .shows_urgent = true};
    wanted[urgent_row][bits] = raw_interest(urgent, interest, State{});
  }
  return wanted;
}();

inline RawInterest BackendSet::wanted(const Slot& slot) const noexcept {
  if (slot.fast_path && slot.state.is_fresh()) {
    const std::size_t row = !slot.is_stream() ? 0
                            : slot.type.has(Quirk::urgent) && capabilities_.knows_urgent
                                ? urgent_row
                                : static_cast<std::size_t>(slot.type.kind) + 1;
    return fast_path_interests[row][static_cast<std::size_t>(slot.interest)];
  }
  return wanted_by_state(slot);
}

inline void BackendSet::note_change(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.listed.changed) return;
  slot.listed.changed = true;
  changed_[changes_++] = index;
  loop_.work_added();
}

inline std::error_code BackendSet::set_backend_interest(Slot& slot, Token token,
                                                        RawInterest wanted) try {
  ++loop_.stats.changes;
  const std::error_code error =
      loop_.backend->set_interest(slot.handle, slot.installed, wanted, token);
  if (!error) slot.installed = wanted;
  return error;
} catch (const std::bad_alloc&) {
  return system_error_code(
      std::errc::not_enough_memory);  // of a backend that does not say so itself
}

inline std::error_code BackendSet::install(Slot& slot, Token token, RawInterest wanted) {
  if (slot.outside != Outside::no) return install_again(slot, token, wanted);
  return set_backend_interest(slot, token, wanted);
}

inline void BackendSet::take_from_kernel(Slot& slot, Token token) noexcept {
  if (slot.installed == RawInterest::none || !loop_.backend) return;
  // Fails if the descriptor was closed first. Then the set has nothing left of it, or, with a
  // duplicate alive, something that the delivery will come upon. In the child of a fork the set is
  // the parent's.
  if (!loop_.forked()) static_cast<void>(install(slot, token, RawInterest::none));
  slot.installed = RawInterest::none;
}

}  // namespace pollux::detail
