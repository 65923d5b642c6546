// SPDX-License-Identifier: MIT
// From what a wait has reported to the handlers of watches. A report of bytes or of room in the
// middle of a stream's life takes the fast path, which is all in this header, so that the compiler
// sees it at once; every other is in delivery.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>

#include "base/loop_context.hpp"
#include "io/registrations.hpp"
#include "io/stream_lifecycle.hpp"

namespace pollux::detail {

/// The interest that `in` and `out` serve, and nothing else: of pollux's own enums these two agree.
constexpr Interest interest_of(RawReady in_and_out) {
  return static_cast<Interest>(in_and_out);
}
static_assert(interest_of(RawReady::in) == Interest::readable);
static_assert(interest_of(RawReady::out) == Interest::writable);

/// The common case, of a stream that can take the fast path, or a readiness watch: bytes or room in
/// the middle of its life, nothing else asked for, nothing else reported. What is both reported and
/// asked for is delivered; Lifecycle says the same, by the longer way.
constexpr bool is_fast_path(Interest interest, const State& state, RawReady ready) {
  return without(ready, RawReady::in | RawReady::out) == RawReady::none &&
         !any(interest, Interest::peer_closed | Interest::one_shot) && state.is_fresh();
}

class WatchService {
 public:
  /// `most` is how many reports one wait may bring. Throws std::bad_alloc.
  WatchService(LoopContext& loop, const Capabilities& capabilities, std::uint32_t most);
  /// For a loop that is closed from the beginning. Takes no memory.
  WatchService(LoopContext& loop, const Capabilities& capabilities) noexcept
      : loop_{loop}, registrations_{loop, capabilities} {}

  Registrations& registrations() noexcept { return registrations_; }
  const Registrations& registrations() const noexcept { return registrations_; }
  BackendSet& set() noexcept { return registrations_.set(); }

  /// Where the backend puts its reports.
  std::span<RawEvent> room() noexcept { return {batch_.get(), batch_room_}; }
  /// Whether reports are left that no handler was called for.
  bool has_work() const noexcept { return batch_size_ != 0; }

  /// Makes a batch of the first `count` reports, one a watch, and makes the probes that must come
  /// before the first handler. An error is the kernel's, of making a new set.
  void merge(std::uint32_t count, std::error_code& error);
  /// Calls the handlers for the batch, and for what the edge set reports: how many.
  std::size_t deliver();
  /// The watch of the first report, if that is the only one; null if it takes merge().
  Slot* only_reported() noexcept {
    Slot* const slot = table().find(batch_[0].token);
    return slot != nullptr && slot->installed != RawInterest::none ? slot : nullptr;
  }
  /// Delivers the only report, to its watch. Whether a handler was called.
  bool deliver_only(Slot& slot) {
    return deliver_report(batch_[0].token.slot, slot, batch_[0].ready);
  }

 private:
  class Batch;

  bool deliver_report(std::uint32_t index, Slot& slot, RawReady ready);
  bool deliver_slowly(std::uint32_t index, Slot& slot, RawReady ready);
  bool deliver_readiness(std::uint32_t index, Slot& slot, RawReady ready);
  bool deliver_to_stream(std::uint32_t index, Slot& slot, RawReady ready);
  std::size_t deliver_batch();
  std::size_t deliver_rechecks();
  std::size_t deliver_edges();
  RawEvent& first_report(Token token) noexcept;
  void prefetch_probes();
  bool is_report_in_vain(std::uint32_t index, RawReady ready);
  platform::Outcome decide(std::uint32_t index, Slot& slot, Observation& found, Decision& decision);
  platform::Outcome probe(std::uint32_t index, Slot& slot, Probe wanted, Observation& found);
  int reported_error(std::uint32_t index) noexcept;
  void apply(std::uint32_t index, State before, State after);
  bool note_vain(std::uint32_t index, Slot& slot, RawReady ready) noexcept;
  void mask(std::uint32_t index, Slot& slot) noexcept;
  void call_handler(std::uint32_t index, Slot& slot, const void* event);
  WatchTable& table() noexcept { return set().table(); }
  /// The handler may end its watch and any other.
  [[gnu::always_inline]] inline void call(std::uint32_t index, Slot& slot, const void* event) {
    const WhileCalled called{table(), registrations_.called(), index};
    slot.handler.call(event);
  }
  const void* fast_path_event(const Slot& slot, Interest bits) const noexcept {
    const auto i = static_cast<std::size_t>(bits);
    return slot.is_stream() ? static_cast<const void*>(&fast_path_events_[i])
                            : &fast_path_readiness[i];
  }

  LoopContext& loop_;
  Registrations registrations_;
  std::unique_ptr<RawEvent[]> batch_;  ///< this turn's reports, one a watch after merge()
  std::uint32_t batch_room_ = 0;
  std::uint32_t batch_size_ = 0;
  const RawEvent* reporting_ = nullptr;  ///< what is being delivered; else the first of the batch
  /// The most frequent events, by the bits of Interest that each stands for, and made once: an
  /// error code takes a call to its category.
  const std::array<StreamEvent, 6> fast_path_events_{
      StreamEvent{Event::none},     StreamEvent{Event::readable},
      StreamEvent{Event::none},     StreamEvent{Event::none},
      StreamEvent{Event::writable}, StreamEvent{Event::readable | Event::writable}};
  static constexpr std::array<Readiness, 6> fast_path_readiness{
      Readiness{Interest::none},     Readiness{Interest::readable},
      Readiness{Interest::none},     Readiness{Interest::none},
      Readiness{Interest::writable}, Readiness{Interest::readable | Interest::writable}};
};

/// Delivers one report, or several of one watch: `ready` is what all of them have. Whether a
/// handler was called.
inline bool WatchService::deliver_report(std::uint32_t index, Slot& slot, RawReady ready) {
  if (++slot.reports == 0 && is_report_in_vain(index, ready)) return false;
  LoopContext& loop = loop_;  // once: the compiler takes a store to a slot for one to this as well
  if (slot.fast_path && is_fast_path(slot.interest, slot.state, ready) && loop.tracer == nullptr) {
    const Interest bits = interest_of(ready) & slot.interest;
    if (bits == Interest::none) return note_vain(index, slot, ready);
    slot.backoff = 0;
    slot.verified_in = static_cast<std::uint32_t>(loop.turn);
    ++loop.stats.events;
    call(index, slot, fast_path_event(slot, bits));
    return true;
  }
  return deliver_slowly(index, slot, ready);
}

}  // namespace pollux::detail
