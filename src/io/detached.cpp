// SPDX-License-Identifier: MIT
#include "io/detached.hpp"

#include "io/registrations.hpp"

namespace pollux::detail {

/// While its number is in no set, no kernel says whether it still is the file that was watched: it
/// is noted, and asked about before it is watched again, or closed.
std::error_code Detached::add(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.outside != Outside::no || slot.closed || loop_.forked()) return {};
  const std::error_code error = files_.add(index, slot.handle);
  if (!error) slot.outside = Outside::noted;
  return error;
}

void Detached::remove(std::uint32_t index) noexcept {
  Slot& slot = table_.slot(index);
  if (slot.outside == Outside::no) return;
  remove_from_edges(slot);
  if (!loop_.forked()) files_.remove(index, slot.handle);
  slot.outside = Outside::no;
}

bool Detached::is_still_ours(std::uint32_t index) noexcept {
  const Slot& slot = table_.slot(index);
  if (slot.closed) return false;
  return slot.outside == Outside::no || files_.is_same(index, slot.handle);
}

bool Detached::put_into_edges(std::uint32_t index, RawInterest wanted) {
  Slot& slot = table_.slot(index);
  if (slot.outside == Outside::no || !open_edges() ||
      !edges_.put(slot.handle, wanted, table_.token(index)))
    return false;
  slot.outside = Outside::in_edge_set;
  return true;
}

void Detached::remove_from_edges(Slot& slot) noexcept {
  if (slot.outside != Outside::in_edge_set) return;
  if (!loop_.forked()) edges_.remove(slot.handle);
  slot.outside = Outside::noted;
}

bool Detached::open_edges() {
  if (edges_watch_) return true;
  // Without a descriptor to be had it is tried again; that the backend refuses the set lasts.
  if (edges_refused_ || !edges_.open()) return false;
  std::error_code error;
  const auto report = [this](Readiness) {
    edges_ready_ = true;
    loop_.work_added();
  };
  edges_watch_ = registrations_.watch_internal(edges_.handle(), Interest::readable,
                                               Handler<Readiness>{report}, error);
  if (error) {
    drop_edges();
    edges_refused_ = true;
  }
  return !error;
}

std::optional<RawEvent> Detached::next_edge() noexcept {
  edges_ready_ = false;
  return edges_.next();
}

/// Another is made when it is needed.
void Detached::drop_edges() noexcept {
  edges_watch_.reset();
  edges_.close();
  edges_refused_ = edges_ready_ = false;
}

void Detached::reset() noexcept {
  drop_edges();
  files_.reset();
}

}  // namespace pollux::detail
