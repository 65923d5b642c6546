// SPDX-License-Identifier: MIT
// The filters of a registration, and how they are changed so that an error leaves all as it was.
#pragma once

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <pollux/backend.hpp>

#include "kevents.hpp"

namespace pollux::detail::kqueue {

/// Of a number that was never registered.
inline constexpr std::uint32_t no_slot = 0xFFFFFFFF;

/// What a number was registered for last.
struct Registration {
  Token token{no_slot, 0};
  RawInterest interest = RawInterest::none;
  bool is_pipe = false;
  bool broken = false;  ///< EVFILT_WRITE was refused with EPIPE, and has its stand-in
};

inline Event make_change(NativeHandle handle, Filter filter, unsigned flags, Mode mode,
                         std::uint32_t generation) {
  Event change{};
  change.ident = static_cast<decltype(change.ident)>(handle);
  change.filter = filter;
  if (mode != Mode::level) flags |= EV_CLEAR;
  // Each change says all of it anew: a kernel takes these over also where it adds nothing.
  if (has_stand_in && filter == stand_in) {
    if ((flags & EV_ADD) != 0) change.fflags = stand_in_flags;
  } else if (mode == Mode::quiet) {
    change.fflags = NOTE_LOWAT;
    change.data = INT_MAX;
  }
  change.flags = static_cast<decltype(change.flags)>(flags | EV_RECEIPT);
  change.udata = to_udata(generation);
  return change;
}

/// Makes the changes. Each is answered by the system's number of an error, or 0. Loop thread.
class Filters {
 public:
  explicit Filters(SystemCalls& calls) noexcept : calls_{calls} {}

  /// From now on of this kqueue, which is the caller's.
  void use(int queue) noexcept { queue_ = queue; }

  /// Whether the registration is still there: its number may be another file's by now. 0, or
  /// ENOENT, or EBADF. Of a filter that reports what is new, all that is up is new then.
  int ask(NativeHandle handle, Registration& registered, Modes modes) noexcept {
    if (registered.broken) return ask_broken(handle, registered);
    if (modes.read != Mode::off) return submit(to_ask(handle, registered, EVFILT_READ, modes.read));
    return submit(to_ask(handle, registered, EVFILT_WRITE, modes.write));
  }

  /// What does not go with its descriptor, when that has gone.
  void forget(NativeHandle handle, Registration& registered) noexcept {
    if (registered.broken) disarm(handle, registered, EVFILT_WRITE);
  }

  /// Has a registration armed otherwise. 0, or errno, and then all is as before. What is there
  /// already goes first, and says whether the registration is: a new filter could be another
  /// file's.
  int change(NativeHandle handle, Registration& registered, Modes from, Modes to) noexcept {
    const bool write_first = from.read == Mode::off;
    const auto change_read = [&](Mode before, Mode after, const Event* other = nullptr) {
      return change_filter(handle, registered, EVFILT_READ, before, after, other);
    };
    const auto change_write = [&](Mode before, Mode after, const Event* other = nullptr) {
      return change_filter(handle, registered, EVFILT_WRITE, before, after, other);
    };
    if (from.read == to.read && from.read != Mode::off) {
      const Event other = to_ask(handle, registered, EVFILT_READ, from.read);
      return change_write(from.write, to.write, &other);
    }
    if (from.write == to.write && from.write != Mode::off && !registered.broken) {
      const Event other = to_ask(handle, registered, EVFILT_WRITE, from.write);
      return change_read(from.read, to.read, &other);
    }
    if (write_first) {
      if (const int error = change_write(from.write, to.write)) return error;
      const int error = change_read(from.read, to.read);
      if (error != 0) change_write(to.write, from.write);
      return error;
    }
    if (const int error = change_read(from.read, to.read)) return error;
    const int error = change_write(from.write, to.write);
    if (error != 0) change_read(to.read, from.read);
    return error;
  }

  /// Whether the kernel has no such filter for a file of this kind; systems differ in how they say
  /// so.
  static bool is_no_filter(int error) {
    return error == EINVAL || error == ENODEV || error == EOPNOTSUPP || error == ENOTSUP;
  }

 private:
  /// Changes that are made in one call, and each of which is answered. The first error, or 0.
  int submit(std::span<const Event> changes, std::span<Event> receipts) noexcept {
    ++calls_;
    const int count = static_cast<int>(changes.size());
    if (::kevent(queue_, changes.data(), count, receipts.data(), count, nullptr) < 0) return errno;
    for (const Event& receipt : receipts) {
      if (receipt.data != 0) return static_cast<int>(receipt.data);
    }
    return 0;
  }
  int submit(const Event& change) noexcept {
    Event receipt{};
    return submit({&change, 1}, {&receipt, 1});
  }

  Event to_add(NativeHandle handle, const Registration& registered, Filter filter, Mode mode) {
    return make_change(handle, filter, EV_ADD | EV_ENABLE, mode, registered.token.generation);
  }
  int remove(NativeHandle handle, const Registration& registered, Filter filter) noexcept {
    return submit(make_change(handle, filter, EV_DELETE, Mode::level, registered.token.generation));
  }

  /// Arms a filter that is not there. Another one that is, if there is one, says in the same call
  /// whether the number is still the file that was registered.
  int arm(NativeHandle handle, Registration& registered, Filter filter, Mode mode,
          const Event* other = nullptr) noexcept {
    const Event added = to_add(handle, registered, filter, mode);
    std::array<Event, 2> changes{other != nullptr ? *other : added, added};
    std::array<Event, 2> receipts{};
    const std::size_t first = other != nullptr ? 0 : 1;
    int error = submit(std::span{changes}.subspan(first), std::span{receipts}.subspan(first));
    if (error == EPIPE && filter == EVFILT_WRITE && has_stand_in) {
      error = submit(to_add(handle, registered, stand_in, mode));
      registered.broken = error == 0;
    } else if (error != 0 && receipts[1].data == 0) {
      remove(handle, registered, filter);
    }
    return error;
  }

  int disarm(NativeHandle handle, Registration& registered, Filter filter) noexcept {
    const bool stands_in = filter == EVFILT_WRITE && std::exchange(registered.broken, false);
    return remove(handle, registered, stands_in ? stand_in : filter);
  }

  /// Has a filter enabled, which it is: that asks whether it is still there.
  static Event to_ask(NativeHandle handle, const Registration& registered, Filter filter,
                      Mode mode) noexcept {
    return make_change(handle, filter, EV_ENABLE, mode, registered.token.generation);
  }

  /// Whether the number still is a pipe whose reader has gone. 0, or ENOENT.
  int ask_broken(NativeHandle handle, Registration& registered) noexcept {
    const int error = submit(to_add(handle, registered, EVFILT_WRITE, Mode::level));
    if (error == EPIPE) return 0;
    if (error == 0) remove(handle, registered, EVFILT_WRITE);
    forget(handle, registered);
    return ENOENT;
  }

  /// One filter from a mode to another. EV_CLEAR belongs to a filter from its addition on
  /// (FreeBSD), so another mode is another filter. 0, or errno, and then the old one holds.
  int change_filter(NativeHandle handle, Registration& registered, Filter filter, Mode from,
                    Mode to, const Event* other = nullptr) noexcept {
    if (from == to) return 0;
    // A file that cannot be written has no such filter, and needs none beside the other.
    const bool can_lack = filter == EVFILT_WRITE;
    if (from != Mode::off) {
      const int gone = disarm(handle, registered, filter);
      if (gone != 0 && !(can_lack && from == Mode::quiet)) return gone;
    }
    if (to == Mode::off) return 0;
    const int error = arm(handle, registered, filter, to, other);
    if (error == 0 || (can_lack && to == Mode::quiet && is_no_filter(error))) return 0;
    if (from != Mode::off) arm(handle, registered, filter, from);
    return error;
  }

  SystemCalls& calls_;
  int queue_ = -1;
};

}  // namespace pollux::detail::kqueue
