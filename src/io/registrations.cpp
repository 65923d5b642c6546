// SPDX-License-Identifier: MIT
#include "io/registrations.hpp"

#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

Registrations::Registrations(LoopContext& loop, const Capabilities& capabilities) noexcept
    : loop_{loop}, set_{loop, capabilities, *this}, prober_{loop, set_.capabilities()} {}

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
  if (!error && is_in_vain(interest, stream))
    error = system_error_code(std::errc::invalid_argument);
  if (error) return {};
  const StreamType type = stream ? prober_.examine(handle, error) : StreamType{};
  if (error) return {};

  const std::uint32_t other = table().by_handle(handle);
  // The kernel says whether a number still means what is watched under it, but only of what is in
  // its set.
  if (other != no_slot && table().slot(other).installed == RawInterest::none &&
      set_.detached().is_still_ours(other)) {
    error = system_error_code(std::errc::file_exists);
    return {};
  }
  if (table().is_full()) set_.make_room();
  const Token token = table().acquire(handle);
  Slot& slot = table().slot(token.slot);
  slot.as = as;
  slot.type = type;
  slot.fast_path = is_fast_path(set_.traits(slot), type, interest, as);
  slot.interest = interest;

  const RawInterest first = set_.wanted(slot);
  if (first == RawInterest::none) {
    error = begin_detached(token.slot, other);
  } else {
    error = set_.install(slot, token, first);
    // The set still has a number that was closed under its watch and has a duplicate alive.
    if (error && other == no_slot && error == std::errc::file_exists && !(error = set_.rebuild()))
      error = set_.install(slot, token, first);
  }
  if (error) {
    set_.detached().remove(token.slot);
    table().release(token.slot);
    return {};
  }
  if (other != no_slot) set_.note_closed(other);  // or the kernel would have refused
  if (!slot.is_internal()) ++count_;
  try {
    table().put_handle(handle, token.slot);
  } catch (...) {
    unwatch(token);
    throw;
  }
  slot.handler = std::move(handler);
  if (type.has(Quirk::silent)) set_.schedule_recheck(token.slot);
  trace_watched(token.slot);
  return token;
} catch (const std::bad_alloc&) {
  error = system_error_code(std::errc::not_enough_memory);
  return {};
}

void Registrations::trace_watched(std::uint32_t index) const noexcept {
  if (loop_.tracer == nullptr) return;
  const Slot& slot = table().slot(index);
  if (slot.is_internal()) return;
  const WatchKind kind = slot.is_stream() ? WatchKind::stream : WatchKind::readiness;
  loop_.tracer->watched(loop_.now(), slot.handle, table().token(index), kind, slot.interest);
}

void Registrations::introduce_watches() const noexcept {
  for (std::uint32_t i = 0; i < table().size(); ++i) {
    const bool ended = called_.ended && called_.index == i;  // by the handler that is running
    if (table().slot(i).used && !ended) trace_watched(i);
  }
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
  Slot* slot = table().find(token);
  if (slot == nullptr || slot->closed) {
    error = Errc::watch_closed;
    return;
  }
  if (is_in_vain(interest, slot->is_stream())) {
    error = system_error_code(std::errc::invalid_argument);
    return;
  }
  // Who asks in the turn that has reported the number is known to mean it.
  if (!loop_.running || slot->verified_in != set_.epoch()) slot->verified_in = set_.epoch() - 2;
  const Interest interest_before = std::exchange(slot->interest, interest);
  const State state_before = slot->state;
  slot->state.mask = Mask::none;
  if (any(interest, Interest::readable)) slot->state.parked = false;

  const RawInterest now = set_.wanted(*slot);
  // What can fail, and must fail for the caller: an addition may, and not every backend has all
  // there is.
  const bool at_once =
      slot->installed == RawInterest::none || any(interest, Interest::edge | Interest::priority);
  if (now != slot->installed && at_once) {
    error = set_.install(token.slot, now);
    if (error) {
      slot->interest = interest_before;
      slot->state = state_before;
      if (!is_gone(error)) return;
      set_.note_closed(token.slot);
      error = Errc::watch_closed;
      return;
    }
    if (now == RawInterest::none) set_.detached().add(token.slot);
  } else if (now != slot->installed) {
    set_.note_change(token.slot);
  } else if (slot->outside == Outside::in_edge_set) {
    set_.detached().remove_from_edges(*slot);
  }
  if (!slot->is_stream())
    slot->fast_path = is_fast_path(set_.traits(*slot), slot->type, interest, Watched::readiness);
  slot->backoff = 0;
  set_.cancel_retry(token.slot);
  if (slot->type.has(Quirk::silent) && !slot->state.over) set_.schedule_recheck(token.slot);
  if (loop_.tracer != nullptr && !slot->is_internal() && interest != interest_before)
    loop_.tracer->interest_changed(loop_.now(), token, interest_before, interest);
}

Interest Registrations::interest(Token token) const noexcept {
  const Slot* slot = table().find(token);
  return slot != nullptr ? slot->interest : Interest::none;
}

PeerClosedLatency Registrations::peer_closed_latency(Token token) noexcept {
  const Slot* slot = table().find(token);
  if (slot == nullptr || set_.capabilities().knows_fin || slot->type.kind != StreamKind::socket)
    return PeerClosedLatency::immediate;
  // Of a multipath stream only what lies behind its last byte may be untellable.
  if (slot->type.has(Quirk::multipath)) return PeerClosedLatency::probed;
  return prober_.peer_fin(*slot) == PeerFin::untellable ? PeerClosedLatency::after_drain
                                                        : PeerClosedLatency::probed;
}

void Registrations::shutdown(Token token, Shutdown how, std::error_code& error) noexcept {
  error = loop_.refusal_to_register();
  if (error) return;
  Slot* const slot = table().find(token);
  // What was closed under its watch may be another's by now.
  if (slot == nullptr || slot->closed || set_.is_gone_from_kernel(token.slot, *slot)) {
    error = Errc::watch_closed;
    return;
  }
  error = platform::error_code(prober_.system().shut_down(slot->handle, how, slot->type));
  if (slot->type.has(Quirk::silent)) {
    slot->fast_path = false;
    set_.note_change(token.slot);  // the peer's FIN is asked for from now on
  }
  if (!error && !slot->state.over) set_.schedule_recheck(token.slot);
}

void Registrations::unwatch(Token token) noexcept {
  Slot* slot = table().find(token);
  if (slot == nullptr) return;
  loop_.trace(token, slot->is_internal(), WatchChange::ended);
  if (!slot->is_internal() && --count_ == 0) loop_.something_ended();
  set_.take_from_kernel(*slot, token);
  if (slot->outside != Outside::no) set_.detached().remove(token.slot);
  set_.cancel_retry(token.slot);
  if (called_.index == token.slot) {
    // Its handler is running, and must live until it returns; the number is free at once.
    table().drop_handle(slot->handle, token.slot);
    table().disown(token.slot);
    called_.ended = true;
  } else {
    table().release(token.slot);
  }
}

bool Registrations::close_watch(Token token) noexcept {
  Slot* slot = table().find(token);
  if (slot == nullptr) return false;
  const NativeHandle handle = slot->handle;
  bool is_ours = !slot->closed;
  if (slot->installed != RawInterest::none && loop_.backend && !loop_.forked()) {
    ++loop_.stats.changes;
    is_ours = !is_gone(loop_.backend->remove_closing(handle, slot->installed, token));
    slot->installed = RawInterest::none;
  } else if (is_ours && !loop_.forked()) {
    is_ours = set_.detached().is_still_ours(token.slot);
  }
  unwatch(token);
  if (is_ours) prober_.system().close_handle(handle);
  return is_ours;
}

void Registrations::leave_kernel() noexcept {
  prober_.leave_kernel();
  set_.detached().reset();
}

void Registrations::destroy_handlers() noexcept {
  for (std::uint32_t i = 0; i < table().size(); ++i) {
    if (table().slot(i).used) table().release(i);
  }
}

/// A new watch that asks for nothing, refused like any other. `other` has the same number.
std::error_code Registrations::begin_detached(std::uint32_t index, std::uint32_t other) {
  const std::error_code error = set_.detached().add(index);
  const bool is_watched = other != no_slot && table().slot(other).installed != RawInterest::none &&
                          !is_gone(set_.install(other, table().slot(other).installed));
  return !error && is_watched ? system_error_code(std::errc::file_exists) : error;
}

void Registrations::learn_fin_number(Slot& slot) noexcept {
  prober_.learn_fin_number(slot);
  slot.fast_path = is_fast_path(set_.traits(slot), slot.type, slot.interest, Watched::stream);
}

std::error_code Registrations::leave_parent() {
  prober_.after_fork();
  set_.detached().reset();
  return set_.reinstall_all();
}

void Registrations::after_fork() noexcept {
  for (std::uint32_t i = 0; i < table().size(); ++i) {
    Slot& slot = table().slot(i);
    const Outside before = slot.outside;
    slot.outside = Outside::no;
    if (before == Outside::in_edge_set) set_.note_change(i);
    if (before != Outside::no) set_.detached().add(i);
  }
}

}  // namespace pollux::detail
