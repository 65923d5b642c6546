// SPDX-License-Identifier: MIT
// Watches that live on outside the backend's set: which files they are, and what reports them.
#include <exception>
#include <utility>

#include <pollux/backend_support.hpp>

#include "loop/reactor_core.hpp"

namespace pollux::detail {

/// A new watch that asks for nothing, refused like any other. `other` has the same number.
std::error_code ReactorCore::begin_detached(std::uint32_t index, std::uint32_t other) {
  Slot& slot = table_.slot(index);
  const std::error_code error = detached_.add(index, slot.handle, stats_.system_calls);
  slot.detached = !error;
  const bool is_watched = other != no_slot && table_.slot(other).installed != RawInterest::none &&
                          !is_gone(install(other, table_.slot(other).installed));
  return !error && is_watched ? refusal(std::errc::file_exists) : error;
}

/// While its number is in no set, no kernel says whether it still is the file that was watched: it
/// is put down, and asked about before it is watched again, or closed.
void ReactorCore::detach(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.detached || slot.closed || forked()) return;
  slot.detached = !detached_.add(index, slot.handle, stats_.system_calls);
}

/// Whether the number of a slot outside the backend's set stands for the same file. What could not
/// be put down is taken to do so.
bool ReactorCore::is_still_ours(std::uint32_t index) noexcept {
  const Slot& slot = table_.slot(index);
  if (slot.closed) return false;
  return !slot.detached || detached_.is_same(index, slot.handle, stats_.system_calls);
}

void ReactorCore::end_detached(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.detached && !forked()) detached_.remove(index, slot.handle, stats_.system_calls);
  slot.detached = false;
  leave_edges(slot);
}

void ReactorCore::leave_edges(Slot& slot) noexcept {
  if (slot.edged && !forked()) edges_.remove(slot.handle, stats_.system_calls);
  slot.edged = false;
}

/// A condition stays up, must not turn the loop, and the backend has no edges: it is reported by
/// the core's own set, or looked at again from time to time where there is none.
void ReactorCore::mask_without_edges(std::uint32_t index, RawInterest wanted) {
  take_from_kernel(index);
  detach(index);
  Slot& slot = table_.slot(index);
  if (slot.detached && open_edges() &&
      edges_.put(slot.handle, wanted, table_.token(index), stats_.system_calls)) {
    slot.edged = true;
  } else {
    schedule_retry(index);
  }
}

bool ReactorCore::open_edges() {
  if (edges_watch_) return true;
  // Without a descriptor to be had it is tried again; that the backend refuses the set lasts.
  if (edges_refused_ || !edges_.open(stats_.system_calls)) return false;
  std::error_code error;
  try {
    edges_watch_ = watch(edges_.handle(), Interest::readable,
                         Handler<void>{[this] { edges_ready_ = true; }}, Watched::internal, error);
  } catch (const std::exception&) {
    error = std::make_error_code(std::errc::not_enough_memory);
  }
  if (error) {
    drop_edges();
    edges_refused_ = true;
  }
  return !error;
}

/// Another is made when it is needed.
void ReactorCore::drop_edges() noexcept {
  edges_watch_.reset();
  edges_.close();
  edges_refused_ = edges_ready_ = false;
}

std::size_t ReactorCore::deliver_masked() {
  // One at a time: what is left, by stop() or an exception, is still to be had in the next turn.
  constexpr int most = 64;
  edges_ready_ = false;
  std::size_t called = 0;
  for (int i = 0; i < most && !stopped(); ++i) {
    const std::optional<RawEvent> event = edges_.next(stats_.system_calls);
    if (!event) break;
    if (tracer_ != nullptr) tracer_->reported(options_.clock(), event->token, event->ready);
    Slot* const slot = table_.find(event->token);
    if (slot != nullptr && slot->edged && deliver(event->token.slot, *slot, event->ready)) ++called;
  }
  return called;
}

}  // namespace pollux::detail
