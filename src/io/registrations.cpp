// SPDX-License-Identifier: MIT
#include "io/registrations.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

Registrations::Registrations(LoopContext& loop, const Capabilities& capabilities) noexcept
    : loop_{loop}, capabilities_{capabilities} {}

namespace {

/// Whether such an interest makes no sense.
bool is_in_vain(Interest interest, bool stream) {
  const Interest all =
      stream ? Interest::readable | Interest::writable | Interest::peer_closed | Interest::one_shot
             : Interest::readable | Interest::writable | Interest::priority | Interest::one_shot |
                   Interest::edge;
  return (static_cast<unsigned>(interest) & ~static_cast<unsigned>(all)) != 0 ||
         (any(interest, Interest::one_shot) && any(interest, Interest::edge));
}

/// Whether reports take the fast path: see Slot.
bool is_fast_path(const Traits& traits, StreamType type, Interest interest, Watched as) {
  return as == Watched::stream ? can_take_fast_path(traits) && !type.has(Quirk::unasked)
                               : as == Watched::readiness && !any(interest, Interest::one_shot);
}

}  // namespace

Token Registrations::watch(NativeHandle handle, Interest interest, AnyHandler&& handler, Watched as,
                           std::error_code& error) try {
  const bool stream = as == Watched::stream;
  error = loop_.refusal_to_register();
  if (!error && is_in_vain(interest, stream)) error = refusal(std::errc::invalid_argument);
  if (error) return {};
  const StreamType type = stream ? prober_.examine(handle, error) : StreamType{};
  if (error) return {};

  const std::uint32_t other = table_.by_handle(handle);
  // The kernel says whether a number still means what is watched under it, but only of what is in
  // its set.
  if (other != no_slot && table_.slot(other).installed == RawInterest::none &&
      detached_.is_still_ours(other)) {
    error = refusal(std::errc::file_exists);
    return {};
  }
  if (table_.is_full()) make_room();
  const Token token = table_.acquire(handle);
  Slot& slot = table_.slot(token.slot);
  slot.stream = stream;
  slot.internal = as == Watched::internal;
  slot.type = type;
  slot.fast_path = is_fast_path(traits(slot), type, interest, as);
  slot.interest = interest;

  const RawInterest first = wanted(slot);
  if (first == RawInterest::none) {
    error = begin_detached(token.slot, other);
  } else {
    error = install(slot, token, first);
    // The set still has a number that was closed under its watch and has a duplicate alive.
    if (error && other == no_slot && error == std::errc::file_exists && !(error = rebuild()))
      error = install(slot, token, first);
  }
  if (error) {
    detached_.remove(token.slot);
    table_.release(token.slot);
    return {};
  }
  if (other != no_slot) note_closed(other);  // or the kernel would have refused
  if (!slot.internal) ++count_;
  try {
    table_.put_handle(handle, token.slot);
  } catch (...) {
    unwatch(token);
    throw;
  }
  slot.handler = std::move(handler);
  if (loop_.tracer != nullptr && !slot.internal) loop_.tracer->watched(loop_.now(), handle, token);
  return token;
} catch (const std::bad_alloc&) {
  error = refusal(std::errc::not_enough_memory);
  return {};
}

InternalWatch Registrations::watch_internal(NativeHandle handle, Interest interest,
                                            Handler<Readiness> handler, std::error_code& error) {
  const Token token = watch(handle, interest, std::move(handler), Watched::internal, error);
  return error ? InternalWatch{} : InternalWatch{*this, token};
}

void Registrations::set_interest(Token token, Interest interest, std::error_code& error) noexcept {
  error.clear();
  if (!loop_.backend || loop_.forked()) {  // in the child of a fork the set is the parent's
    error = loop_.refusal_to_register();
    return;
  }
  Slot* slot = table_.find(token);
  if (slot == nullptr || slot->closed) {
    error = Errc::watch_closed;
    return;
  }
  if (is_in_vain(interest, slot->stream)) {
    error = refusal(std::errc::invalid_argument);
    return;
  }
  // Who asks in the turn that has reported the number is known to mean it.
  if (!loop_.running || slot->verified_in != epoch()) slot->verified_in = epoch() - 2;
  const Interest interest_before = std::exchange(slot->interest, interest);
  const State state_before = slot->state;
  slot->state.mask = Mask::none;
  if (any(interest, Interest::readable)) slot->state.parked = false;

  const RawInterest now = wanted(*slot);
  // What can fail, and must fail for the caller: an addition may, and not every backend has all
  // there is.
  const bool at_once =
      slot->installed == RawInterest::none || any(interest, Interest::edge | Interest::priority);
  if (now != slot->installed && at_once) {
    error = install(token.slot, now);
    if (error) {
      slot->interest = interest_before;
      slot->state = state_before;
      if (!is_gone(error)) return;
      note_closed(token.slot);
      error = Errc::watch_closed;
      return;
    }
    if (now == RawInterest::none) detached_.add(token.slot);
  } else if (now != slot->installed) {
    note_change(token.slot);
  } else if (slot->edged) {
    detached_.remove_from_edges(*slot);
  }
  if (!slot->stream)
    slot->fast_path = is_fast_path(traits(*slot), slot->type, interest, Watched::readiness);
  slot->backoff = 0;
  cancel_retry(token.slot);
}

Interest Registrations::interest(Token token) const noexcept {
  const Slot* slot = table_.find(token);
  return slot != nullptr ? slot->interest : Interest::none;
}

PeerClosedLatency Registrations::peer_closed_latency(Token token) noexcept {
  const Slot* slot = table_.find(token);
  if (slot == nullptr || capabilities_.knows_fin || slot->type.kind != StreamKind::socket)
    return PeerClosedLatency::immediate;
  // Of a multipath stream only what lies behind its last byte may be untellable.
  if (slot->type.has(Quirk::multipath)) return PeerClosedLatency::probed;
  return prober_.peer_fin(*slot) == PeerFin::untellable ? PeerClosedLatency::after_drain
                                                        : PeerClosedLatency::probed;
}

void Registrations::unwatch(Token token) noexcept {
  Slot* slot = table_.find(token);
  if (slot == nullptr) return;
  if (!slot->internal && --count_ == 0) loop_.something_ended();
  take_from_kernel(*slot, token);
  if (slot->detached) detached_.remove(token.slot);
  cancel_retry(token.slot);
  if (called_.index == token.slot) {
    // Its handler is running, and must live until it returns; the number is free at once.
    table_.drop_handle(slot->handle, token.slot);
    table_.disown(token.slot);
    called_.ended = true;
  } else {
    table_.release(token.slot);
  }
}

bool Registrations::close_watch(Token token) noexcept {
  Slot* slot = table_.find(token);
  if (slot == nullptr) return false;
  const NativeHandle handle = slot->handle;
  bool is_ours = !slot->closed;
  if (slot->installed != RawInterest::none && loop_.backend && !loop_.forked()) {
    ++loop_.stats.changes;
    is_ours = !is_gone(loop_.backend->remove_closing(handle, slot->installed, token));
    slot->installed = RawInterest::none;
  } else if (is_ours && !loop_.forked()) {
    is_ours = detached_.is_still_ours(token.slot);
  }
  unwatch(token);
  if (is_ours) platform::close_handle(handle, loop_.calls());
  return is_ours;
}

void Registrations::leave_kernel() noexcept {
  prober_.leave_kernel();
  detached_.reset();
}

void Registrations::destroy_handlers() noexcept {
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    if (table_.slot(i).used) table_.release(i);
  }
}

namespace {

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
constexpr std::size_t urgent_row = 3;
constexpr auto fast_path_interests = [] {
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

}  // namespace

inline RawInterest Registrations::wanted(const Slot& slot) const noexcept {
  if (slot.fast_path && slot.state.is_fresh()) {
    const std::size_t row = !slot.stream ? 0
                            : slot.type.has(Quirk::urgent) && capabilities_.knows_urgent
                                ? urgent_row
                                : static_cast<std::size_t>(slot.type.kind) + 1;
    return fast_path_interests[row][static_cast<std::size_t>(slot.interest)];
  }
  return wanted_by_state(slot);
}

RawInterest Registrations::wanted_by_state(const Slot& slot) const noexcept {
  if (slot.closed) return RawInterest::none;
  if (slot.stream) return raw_interest(traits(slot), slot.interest, slot.state);
  const RawInterest bits = readiness_interest(slot.interest);
  const bool masked = slot.state.mask == Mask::all && bits != RawInterest::none;
  return masked ? bits | RawInterest::edge : bits;
}

/// A new watch that asks for nothing, refused like any other. `other` has the same number.
std::error_code Registrations::begin_detached(std::uint32_t index, std::uint32_t other) {
  const std::error_code error = detached_.add(index);
  const bool is_watched = other != no_slot && table_.slot(other).installed != RawInterest::none &&
                          !is_gone(install(other, table_.slot(other).installed));
  return !error && is_watched ? refusal(std::errc::file_exists) : error;
}

std::error_code Registrations::install(std::uint32_t index, RawInterest wanted) {
  return install(table_.slot(index), table_.token(index), wanted);
}

inline std::error_code Registrations::install(Slot& slot, Token token, RawInterest wanted) {
  if (slot.detached) return install_again(slot, token, wanted);
  return set_backend_interest(slot, token, wanted);
}

inline std::error_code Registrations::set_backend_interest(Slot& slot, Token token,
                                                           RawInterest wanted) try {
  ++loop_.stats.changes;
  const std::error_code error =
      loop_.backend->set_interest(slot.handle, slot.installed, wanted, token);
  if (!error) slot.installed = wanted;
  return error;
} catch (const std::bad_alloc&) {
  return refusal(std::errc::not_enough_memory);  // of a backend that does not say so itself
}

std::error_code Registrations::install_again(Slot& slot, Token token, RawInterest wanted) {
  if (!detached_.is_still_ours(token.slot)) return refusal(std::errc::no_such_file_or_directory);
  const std::error_code error = set_backend_interest(slot, token, wanted);
  if (!error) detached_.remove(token.slot);
  return error;
}

void Registrations::take_from_kernel(std::uint32_t index) noexcept {
  take_from_kernel(table_.slot(index), table_.token(index));
}

inline void Registrations::take_from_kernel(Slot& slot, Token token) noexcept {
  if (slot.installed == RawInterest::none || !loop_.backend) return;
  // Fails if the descriptor was closed first. Then the set has nothing left of it, or, with a
  // duplicate alive, something that the delivery will come upon. In the child of a fork the set is
  // the parent's.
  if (!loop_.forked()) static_cast<void>(install(slot, token, RawInterest::none));
  slot.installed = RawInterest::none;
}

void Registrations::learn_fin_number(Slot& slot) noexcept {
  prober_.learn_fin_number(slot);
  slot.fast_path = is_fast_path(traits(slot), slot.type, slot.interest, Watched::stream);
}

bool Registrations::is_gone_from_kernel(std::uint32_t index, Slot& slot) {
  if (slot.installed == RawInterest::none) return !detached_.is_still_ours(index);
  if (any(slot.installed, RawInterest::edge)) return false;  // to ask would be a new one
  if (is_gone(set_backend_interest(slot, {index, slot.generation}, slot.installed))) return true;
  slot.verified_in = epoch();
  return false;
}

void Registrations::note_change(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.changed) return;
  slot.changed = true;
  changed_[changes_++] = index;
  loop_.work_added();
}

void Registrations::note_closed(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  table_.drop_handle(slot.handle, index);
  cancel_retry(index);
  detached_.remove(index);
  slot.closed = true;
  slot.fast_path = false;
  slot.installed = RawInterest::none;
}

void Registrations::note_over(std::uint32_t index) noexcept {
  take_from_kernel(index);
  cancel_retry(index);
  detached_.remove(index);
  detached_.add(index);
}

/// So that note_change(), schedule_retry() and Detached::add() never allocate.
void Registrations::make_room() {
  changed_.resize(table_.size() + WatchTable::chunk_size);
  retries_.make_room(table_.size() + WatchTable::chunk_size);
  detached_.make_room(table_.size() + WatchTable::chunk_size);
}

void Registrations::apply_changes() {
  for (std::size_t i = 0; i < changes_; ++i) {
    Slot& slot = table_.slot(changed_[i]);
    slot.changed = false;
    if (slot.used) apply_change(changed_[i]);
  }
  changes_ = 0;
}

void Registrations::apply_change(std::uint32_t index) {
  Slot& slot = table_.slot(index);
  const RawInterest now = wanted(slot);
  if (slot.state.mask == Mask::all && !can_edge_ && now != RawInterest::none)
    return mask_without_edges(index, now);
  if (now == slot.installed) {
    ++loop_.stats.coalesced;
    if (slot.edged) detached_.remove_from_edges(slot);
    return;
  }
  // Who newly asks to write may be asked about by number alone: first of all, whose it is.
  if (any(now, RawInterest::out) && !any(slot.installed, RawInterest::out) && !is_verified(slot) &&
      slot.installed != RawInterest::none && (slot.stream || capabilities_.knows_fin)) {
    if (const std::error_code error = install(index, slot.installed))
      return change_failed(index, error);
  }
  if (const std::error_code error = install(slot, table_.token(index), now))
    return change_failed(index, error);
  if (now == RawInterest::none) detached_.add(index);
}

void Registrations::change_failed(std::uint32_t index, std::error_code error) {
  const Slot& slot = table_.slot(index);
  if (error == std::errc::operation_not_supported && slot.state.mask == Mask::all) {
    can_edge_ = false;
    return mask_without_edges(index, wanted(slot));
  }
  if (is_gone(error)) {
    note_closed(index);
  } else {
    schedule_retry(index);  // short of memory, or the like: the old interest holds; try again later
  }
}

/// A condition stays up, must not turn the loop, and the backend has no edges: it is reported by
/// the edge set, or asked about again from time to time where there is none.
void Registrations::mask_without_edges(std::uint32_t index, RawInterest wanted) {
  take_from_kernel(index);
  detached_.add(index);
  if (!detached_.put_into_edges(index, wanted, *this)) schedule_retry(index);
}

void Registrations::schedule_retry(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  std::chrono::nanoseconds interval = loop_.options.probe_interval_min;
  for (int i = 0; i < slot.backoff && interval < loop_.options.probe_interval_max; ++i)
    interval = saturating_sum(interval, interval);
  if (slot.backoff < 60) ++slot.backoff;
  retries_.put(loop_.from_now(std::min(interval, loop_.options.probe_interval_max)), index);
  loop_.work_added(retries_.next());
}

void Registrations::run_due_retries() {
  const time_point now = loop_.now();
  while (const std::optional<std::uint32_t> index = retries_.due(now)) {
    cancel_retry(*index);
    table_.slot(*index).state.mask = Mask::none;  // asked for again, and masked if nothing is new
    note_change(*index);
  }
}

std::error_code Registrations::rebuild() {
  // What was closed under its watch must not be put into the new set: the number may be another
  // file's by now. The old set still knows.
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Slot& slot = table_.slot(i);
    if (slot.used && slot.installed != RawInterest::none && is_gone(install(i, slot.installed)))
      note_closed(i);
  }
  return reinstall_all();
}

std::error_code Registrations::reinstall_all() {
  ++loop_.stats.rebuilds;
  if (const std::error_code error = loop_.reset_backend()) return error;
  loop_.work_added();
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    Slot& slot = table_.slot(i);
    const RawInterest before = std::exchange(slot.installed, RawInterest::none);
    if (before == RawInterest::none) continue;
    const std::error_code error = install(i, before);
    if (error) schedule_retry(i);
  }
  return {};
}

std::error_code Registrations::leave_parent() {
  prober_.after_fork();
  detached_.reset();
  return reinstall_all();
}

void Registrations::after_fork() noexcept {
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    Slot& slot = table_.slot(i);
    if (slot.edged) note_change(i);
    slot.edged = false;
    const bool was_detached = slot.detached;
    slot.detached = false;
    if (was_detached) detached_.add(i);
  }
}

}  // namespace pollux::detail
