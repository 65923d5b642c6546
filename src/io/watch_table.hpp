// SPDX-License-Identifier: MIT
// The registrations of one reactor: slots that never move, found by token, and by handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/detail/any_handler.hpp>

#include "base/slot_table.hpp"
#include "io/stream_lifecycle.hpp"

namespace pollux::detail {

/// What a descriptor is watched as; `internal`: by the loop itself.
enum class Watched : std::uint8_t { readiness, stream, internal };

/// Whether a watch is outside the backend's set: then it is noted in Detached, and may be in the
/// edge set.
enum class Outside : std::uint8_t { no, noted, in_edge_set };

/// The lists of the BackendSet that a slot is in. They outlive the registration.
struct Listed {
  bool changed : 1 = false;  ///< its interest may have changed
  bool recheck : 1 = false;  ///< the next turn asks what is true of it
};

/// One registration, in one line of the cache. What it is asked for and where it is in its life
/// live here; what the kernel was last asked for is `installed`.
struct alignas(64) Slot {
  AnyHandler handler;
  NativeHandle handle{};
  std::uint32_t generation = 0;
  std::uint32_t next = no_slot;  ///< in the list of free slots
  /// The turn in which the kernel last said who the number is: its lower 32 bits, which come round
  /// after an hour of a million turns a second.
  std::uint32_t verified_in = 0;
  Watched as = Watched::readiness;
  bool used : 1 = false;
  bool closed : 1 = false;  ///< its descriptor was closed under it: it gets no event any more
  Outside outside : 2 = Outside::no;
  Listed listed;
  /// A stream that can_take_fast_path(), or a readiness watch that is called whenever it is ready:
  /// most reports, by the shortest way.
  bool fast_path = false;
  Interest interest = Interest::none;
  State state;
  RawReady ready = RawReady::none;  ///< reported by this turn's wait, not yet dispatched
  RawInterest installed = RawInterest::none;
  Inbound inbound = Inbound::unknown;  ///< found by this turn's prefetch
  StreamType type;
  std::uint8_t reports = 0;        ///< dispatched to it, modulo 256
  std::uint8_t backoff = 0;        ///< how often in a row a report or a retry has led to no event
  std::int16_t pending_error = 0;  ///< taken from the kernel by a probe, and not yet reported

  bool is_stream() const noexcept { return as == Watched::stream; }
  bool is_internal() const noexcept { return as == Watched::internal; }
  void keep_error(int error) noexcept {
    if (error != 0) pending_error = static_cast<std::int16_t>(error);
  }
  int take_error() noexcept { return std::exchange(pending_error, std::int16_t{0}); }
};
static_assert(sizeof(Slot) == 64 || sizeof(void*) != 8 || sizeof(NativeHandle) > 4);

/// Slots, found by token and, while a handle is watched, by handle.
class WatchTable : public SlotTable<Slot> {
 public:
  /// A slot for `handle`. This and put_handle() may throw std::bad_alloc, and then have changed
  /// nothing; nothing else here throws.
  Token acquire(NativeHandle handle) {
    const Token token = SlotTable::acquire();
    Slot& taken = slot(token.slot);
    taken.used = true;
    taken.handle = handle;
    return token;
  }

  /// Forgets the slot. Its handler is destroyed last, when the slot is free already.
  void release(std::uint32_t index) noexcept {
    Slot& freed = slot(index);
    // Its captures may unwatch others on their way out.
    const AnyHandler handler = std::move(freed.handler);
    const Listed listed = freed.listed;
    drop_handle(freed.handle, index);
    SlotTable::release(index, freed);
    freed.listed = listed;
  }

  /// The slot last put down for `handle`, or no_slot.
  std::uint32_t by_handle(NativeHandle handle) const noexcept {
    static_assert(HandleMap::none == no_slot);
    return by_handle_.find(handle);
  }
  /// Only for numbers that are open descriptors: the table grows with them.
  void put_handle(NativeHandle handle, std::uint32_t index) {
    by_handle_.make_room(handle);
    by_handle_.put(handle, index);
  }
  /// Forgets `handle` if it still leads to `index`.
  void drop_handle(NativeHandle handle, std::uint32_t index) noexcept {
    if (by_handle(handle) == index) by_handle_.remove(handle);
  }

 private:
  HandleMap by_handle_;
};

}  // namespace pollux::detail
