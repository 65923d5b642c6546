// SPDX-License-Identifier: MIT
// What is registered, by slot and by handle, and the two lists of what is to be done about it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <vector>

#include <poll.h>

#include <pollux/backend_support.hpp>

namespace pollux::detail::io_uring {

/// Two fit into a line of the cache.
struct alignas(16) Registration {
  NativeHandle handle = no_handle;  ///< none: not in use
  std::uint32_t generation = 0;
  std::uint32_t number = 0;  ///< of its last request
  std::uint32_t asked = 0;   ///< the pass in which that was handed over
  short woke = 0;            ///< with what it has completed, until that is looked at
  short misses = 0;          ///< how often in a row a look has found nothing
  RawInterest interest = RawInterest::none;
  bool armed = false;    ///< the kernel has that request
  bool fin = false;      ///< RDHUP shows, when it was last seen
  bool placed = false;   ///< it has been asked whether it is for the set
  bool for_set = false;  ///< it is (epoll_set.hpp)
  bool in_set = false;   ///< and the set has it
  bool listed = false;   ///< these two outlive the registration
  bool hinted = false;
};
static_assert(sizeof(Registration) == 32);

inline constexpr RawReady all_bits =
    RawReady::in | RawReady::pri | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;

// So that the bits of an answer are copied, and not translated one by one.
static_assert(RawReady{POLLIN} == RawReady::in && RawReady{POLLPRI} == RawReady::pri &&
              RawReady{POLLOUT} == RawReady::out && RawReady{POLLRDHUP} == RawReady::rdhup &&
              RawReady{POLLHUP} == RawReady::hup && RawReady{POLLERR} == RawReady::err);

/// poll()'s bits, by interest. POLLHUP and POLLERR are always reported.
inline constexpr auto native_bits = [] {
  std::array<short, 256> bits{};
  for (unsigned i = 0; i < bits.size(); ++i) {
    const auto interest = static_cast<RawInterest>(i);
    int events = 0;
    if (any(interest, RawInterest::in)) events |= POLLIN;
    if (any(interest, RawInterest::out)) events |= POLLOUT;
    if (any(interest, RawInterest::rdhup)) events |= POLLRDHUP;
    if (any(interest, RawInterest::pri)) events |= POLLPRI;
    bits[i] = static_cast<short>(events);
  }
  return bits;
}();

inline short to_native(RawInterest interest) {
  return native_bits[static_cast<std::uint8_t>(interest)];
}

/// What there is to report of `events`, for what `known` asks.
inline RawReady to_raw(const Registration& known, int events) {
  return static_cast<RawReady>(events & (to_native(known.interest) | POLLHUP | POLLERR));
}

/// What came of asking about one: done, to be done again with the next wait, or there was no room.
enum class Asked : std::uint8_t { done, again, no_room };

/// Slots in their order, each once at most. Room for all is made before, and not looked for.
class SlotList {
 public:
  /// May throw std::bad_alloc.
  void make_room(std::size_t slots) {
    if (slots_.size() < slots) slots_.resize(slots);
  }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::uint32_t operator[](std::size_t place) const noexcept { return slots_[place]; }
  void put(std::uint32_t slot) noexcept { slots_[size_++] = slot; }
  void move(std::size_t from, std::size_t to) noexcept { slots_[to] = slots_[from]; }
  /// Drops those in [from, to): mostly all.
  void drop(std::size_t from, std::size_t to) noexcept {
    while (to < size_) slots_[from++] = slots_[to++];
    size_ = from;
  }
  void clear() noexcept { size_ = 0; }

 private:
  std::vector<std::uint32_t> slots_;
  std::size_t size_ = 0;
};

class Registrations {
 public:
  /// `calls` counts the system calls.
  explicit Registrations(SystemCalls& calls) noexcept : files_{calls} {}

  /// What `token` names for `handle`, or null.
  Registration* find(NativeHandle handle, Token token) noexcept {
    if (!is_slot(token.slot)) return nullptr;
    Registration& found = by_slot_[token.slot];
    return found.handle == handle && found.generation == token.generation ? &found : nullptr;
  }
  bool is_slot(std::uint32_t slot) const noexcept { return slot < slots_; }
  Registration& operator[](std::uint32_t slot) noexcept { return by_slot_[slot]; }

  /// So that nothing else ever allocates. False if there is no memory.
  bool make_room(NativeHandle handle, std::uint32_t slot) noexcept try {
    if (!is_slot(slot)) {
      const std::uint32_t size = slot + slot / 2 + 16;
      listed_.make_room(size);
      hints_.make_room(size);
      by_slot_.resize(size);
      slots_ = size;
    }
    slot_of_.make_room(handle);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }

  /// Whether its number still stands for the file that was put down.
  bool is_same(std::uint32_t slot) noexcept { return files_.is_same(slot, by_slot_[slot].handle); }

  /// Refuses what cannot be watched. `drop` is given a slot whose handle was closed under its watch
  /// and given out again: it ends that registration, and forgets it.
  template <class Drop>
  std::error_code put(NativeHandle handle, RawInterest interest, Token token, Drop drop) noexcept {
    const std::uint32_t old = slot_of_.find(handle);
    const auto drop_old = [&] { drop(old); };
    if (const auto error = files_.add_once(token.slot, handle, old, drop_old)) return error;
    if (!make_room(handle, token.slot)) {
      files_.remove(token.slot, handle);
      return system_error_code(std::errc::not_enough_memory);
    }
    Registration& fresh = by_slot_[token.slot];
    fresh.handle = handle;
    fresh.generation = token.generation;
    fresh.interest = interest;
    slot_of_.put(handle, token.slot);
    list(token.slot);
    return {};
  }
  /// Does nothing if it is forgotten already.
  void forget(std::uint32_t slot) noexcept {
    Registration& gone = by_slot_[slot];
    if (gone.handle == no_handle) return;
    files_.remove(slot, gone.handle);
    slot_of_.remove(gone.handle);
    const bool listed = gone.listed, hinted = gone.hinted;
    gone = {};
    gone.listed = listed;
    gone.hinted = hinted;
  }

  /// The set is another, and knows none of them.
  void leave_set() noexcept {
    for (std::uint32_t slot = 0; is_slot(slot); ++slot) {
      if (!by_slot_[slot].in_set) continue;
      by_slot_[slot].in_set = false;
      list(slot);
    }
  }
  /// The ring knows none of them any more: all are to be asked about anew.
  void disarm_all() noexcept {
    for (std::uint32_t slot = 0; is_slot(slot); ++slot) {
      Registration& known = by_slot_[slot];
      known.armed = false;
      if (known.handle != no_handle) list(slot);
    }
  }
  void clear() noexcept {
    files_.reset();
    by_slot_.clear();
    slots_ = 0;
    slot_of_.clear();
    listed_.clear();
    hints_.clear();
  }

  /// Who is to be asked about by the next wait, each once.
  void list(std::uint32_t slot) noexcept {
    Registration& due = by_slot_[slot];
    if (due.listed) return;
    due.listed = true;
    listed_.put(slot);
  }
  /// Calls `ask` with each that is listed, until there is no room.
  template <class Ask>
  void ask_for_listed(Ask ask) {
    std::size_t done = 0;
    std::size_t kept = 0;
    for (; done < listed_.size(); ++done) {
      const std::uint32_t slot = listed_[done];
      const Asked asked = ask(slot, by_slot_[slot]);
      if (asked == Asked::no_room) break;
      if (asked == Asked::again) {
        listed_.move(done, kept++);
      } else {
        by_slot_[slot].listed = false;
      }
    }
    listed_.drop(kept, done);
  }

  /// Who is to be looked at, each once, oldest first.
  void hint(std::uint32_t slot) noexcept {
    Registration& due = by_slot_[slot];
    if (due.hinted) return;
    due.hinted = true;
    hints_.put(slot);
  }
  const SlotList& hints() const noexcept { return hints_; }
  void drop_hints(std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) by_slot_[hints_[i]].hinted = false;
    hints_.drop(0, count);
  }

 private:
  HandleRegistry files_;
  std::vector<Registration> by_slot_;
  std::uint32_t slots_ = 0;  ///< how many there is room for
  HandleMap slot_of_;
  SlotList listed_;
  SlotList hints_;
};

}  // namespace pollux::detail::io_uring
