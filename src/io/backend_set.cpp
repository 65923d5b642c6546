// SPDX-License-Identifier: MIT
#include "io/backend_set.hpp"

#include <algorithm>
#include <utility>

namespace pollux::detail {

RawInterest BackendSet::wanted_by_state(const Slot& slot) const noexcept {
  if (slot.closed) return RawInterest::none;
  if (slot.is_stream()) return raw_interest(traits(slot), slot.interest, slot.state);
  const RawInterest bits = readiness_interest(slot.interest);
  const bool masked = slot.state.mask == Mask::all && bits != RawInterest::none;
  return masked ? bits | RawInterest::edge : bits;
}

std::error_code BackendSet::install_again(Slot& slot, Token token, RawInterest wanted) {
  if (!detached_.is_still_ours(token.slot))
    return system_error_code(std::errc::no_such_file_or_directory);
  const std::error_code error = set_backend_interest(slot, token, wanted);
  if (!error) detached_.remove(token.slot);
  return error;
}

bool BackendSet::is_gone_from_kernel(std::uint32_t index, Slot& slot) {
  if (slot.installed == RawInterest::none) return !detached_.is_still_ours(index);
  if (any(slot.installed, RawInterest::edge)) return false;  // to ask would be a new one
  if (is_gone(set_backend_interest(slot, {index, slot.generation}, slot.installed))) return true;
  slot.verified_in = epoch();
  return false;
}

void BackendSet::note_closed(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  table_.drop_handle(slot.handle, index);
  cancel_retry(index);
  detached_.remove(index);
  if (!slot.closed) loop_.trace(table_.token(index), slot.is_internal(), WatchChange::closed);
  slot.closed = true;
  slot.fast_path = false;
  slot.installed = RawInterest::none;
}

void BackendSet::note_over(std::uint32_t index) noexcept {
  take_from_kernel(index);
  cancel_retry(index);
  detached_.remove(index);
  detached_.add(index);
}

void BackendSet::schedule_recheck(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.listed.recheck) return;
  slot.listed.recheck = true;
  if (rechecks_.size() == rechecks_.capacity()) drop_taken_rechecks();
  rechecks_.push_back(index);  // there is room
  loop_.work_added();
}

std::uint32_t BackendSet::take_recheck() noexcept {
  const std::uint32_t index = rechecks_[taken_rechecks_++];
  if (!has_rechecks()) drop_taken_rechecks();
  table_.slot(index).listed.recheck = false;
  return index;
}

void BackendSet::drop_taken_rechecks() noexcept {
  rechecks_.erase(rechecks_.begin(),
                  rechecks_.begin() + static_cast<std::ptrdiff_t>(taken_rechecks_));
  taken_rechecks_ = 0;
}

void BackendSet::make_room() {
  changed_.resize(table_.size() + WatchTable::chunk_size);
  rechecks_.reserve(table_.size() + WatchTable::chunk_size);
  retries_.make_room(table_.size() + WatchTable::chunk_size);
  detached_.make_room(table_.size() + WatchTable::chunk_size);
}

void BackendSet::apply_changes() {
  for (std::size_t i = 0; i < changes_; ++i) {
    Slot& slot = table_.slot(changed_[i]);
    slot.listed.changed = false;
    if (slot.used) apply_change(changed_[i]);
  }
  changes_ = 0;
}

void BackendSet::apply_change(std::uint32_t index) {
  Slot& slot = table_.slot(index);
  const RawInterest now = wanted(slot);
  if (slot.state.mask == Mask::all && !can_edge_ && now != RawInterest::none)
    return mask_without_edges(index, now);
  if (now == slot.installed) {
    ++loop_.stats.coalesced;
    if (slot.outside == Outside::in_edge_set) detached_.remove_from_edges(slot);
    return;
  }
  // Who newly asks to write may be asked about by number alone: first of all, whose it is.
  if (any(now, RawInterest::out) && !any(slot.installed, RawInterest::out) && !is_verified(slot) &&
      slot.installed != RawInterest::none && (slot.is_stream() || capabilities_.knows_fin)) {
    if (const std::error_code error = install(index, slot.installed))
      return change_failed(index, error);
  }
  if (const std::error_code error = install(slot, table_.token(index), now))
    return change_failed(index, error);
  if (now == RawInterest::none) detached_.add(index);
}

void BackendSet::change_failed(std::uint32_t index, std::error_code error) {
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
void BackendSet::mask_without_edges(std::uint32_t index, RawInterest wanted) {
  take_from_kernel(index);
  detached_.add(index);
  if (!detached_.put_into_edges(index, wanted)) schedule_retry(index);
}

void BackendSet::schedule_retry(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  std::chrono::nanoseconds interval = loop_.options.probe_interval_min;
  for (int i = 0; i < slot.backoff && interval < loop_.options.probe_interval_max; ++i)
    interval = saturating_sum(interval, interval);
  if (slot.backoff < 60) ++slot.backoff;
  retries_.put(loop_.from_now(std::min(interval, loop_.options.probe_interval_max)), index);
  loop_.work_added(retries_.next());
}

void BackendSet::run_due_retries() {
  const LoopContext::time_point now = loop_.now();
  while (const std::optional<std::uint32_t> index = retries_.due(now)) {
    cancel_retry(*index);
    table_.slot(*index).state.mask = Mask::none;  // asked for again, and masked if nothing is new
    note_change(*index);
  }
}

std::error_code BackendSet::rebuild() {
  // What was closed under its watch must not be put into the new set: the number may be another
  // file's by now. The old set still knows.
  for (std::uint32_t i = 0; i < table_.size(); ++i) {
    const Slot& slot = table_.slot(i);
    if (slot.used && slot.installed != RawInterest::none && is_gone(install(i, slot.installed)))
      note_closed(i);
  }
  return reinstall_all();
}

std::error_code BackendSet::reinstall_all() {
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

}  // namespace pollux::detail
