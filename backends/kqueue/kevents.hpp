// SPDX-License-Identifier: MIT
// What the kernel is asked for, and what its answers mean, as pure functions: they are tested by
// kevents that no kernel here has made.
#pragma once

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include <sys/types.h>
// Behind it: on some BSDs it needs the types.
#include <sys/event.h>

#include <pollux/backend.hpp>

namespace pollux::detail::kqueue {

using Event = struct kevent;
using Filter = decltype(Event::filter);

/// A pipe's writing end whose reader has gone gets no EVFILT_WRITE (EPIPE). This stands in for it:
/// reported for as long as it is there, as the other would be.
#if defined(EVFILT_USER)
inline constexpr bool has_stand_in = true;
inline constexpr Filter stand_in = EVFILT_USER;
inline constexpr unsigned stand_in_flags = NOTE_TRIGGER;
#else
inline constexpr bool has_stand_in = false;
inline constexpr Filter stand_in = EVFILT_WRITE;
inline constexpr unsigned stand_in_flags = 0;
#endif

/// How a filter is armed. `edge` is EV_CLEAR: reported when something new happens. `quiet` is that,
/// and a low-water mark that no number of bytes reaches: of a socket only the end and failures are
/// reported. (A low-water mark alone leaves EV_EOF level-triggered, which turns the loop; and macOS
/// limits it to the size of the buffer, so that a full one is reported as well.)
enum class Mode : std::uint8_t { off, level, edge, quiet };

struct Modes {
  Mode read = Mode::off;
  Mode write = Mode::off;

  friend constexpr bool operator==(const Modes&, const Modes&) = default;
};

/// What each filter is armed for. Without a filter kqueue reports no failure, and each of them sees
/// one direction alone. So the direction that nothing is asked of is kept, quiet: but for the most
/// frequent interest, that in a socket's bytes, to which a failure and the peer's end show as well.
constexpr Modes modes_of(RawInterest interest, bool is_pipe) {
  if (interest == RawInterest::none) return {};
  const Mode armed = any(interest, RawInterest::edge) ? Mode::edge : Mode::level;
  const bool reads = any(interest, RawInterest::in);
  const bool in_alone_will_do = reads && armed == Mode::level && !is_pipe;
  return {reads ? armed : Mode::quiet, any(interest, RawInterest::out) ? armed
                                       : in_alone_will_do              ? Mode::off
                                                                       : Mode::quiet};
}

/// Whether it is what a broken pipe has in place of EVFILT_WRITE.
inline bool is_stand_in(const Event& event) {
  return has_stand_in && event.filter == stand_in;
}

/// The failure that the kernel brings along (a reset, a refused connection), or 0.
inline int error_of(const Event& event) {
  if (is_stand_in(event)) return EPIPE;
  return (event.flags & EV_EOF) != 0 ? static_cast<int>(event.fflags) : 0;
}

/// The direction that `event` says nothing of, as an interest in it.
inline RawInterest other_direction(const Event& event) {
  return event.filter == EVFILT_READ ? RawInterest::out : RawInterest::in;
}

/// What `event` says of a registration with that interest; none if nothing of it was asked for. An
/// end always is.
///
/// EV_EOF is one direction, ended by either side. On EVFILT_READ a read returns 0, once the bytes
/// before it are read: `in`. On EVFILT_WRITE a write fails at once: `out`. It is a hang-up only if
/// the other direction is over as well, which `is_other_over` is asked. An error in fflags is a
/// connection that has failed.
template <class IsOtherOver>
RawReady ready_of(const Event& event, RawInterest interest, IsOtherOver is_other_over) {
  const bool reads = event.filter == EVFILT_READ;
  const bool is_over = (event.flags & EV_EOF) != 0 || is_stand_in(event);
  // A filter that has outlived its registration is reported: the core must see it.
  const bool is_asked_for =
      interest == RawInterest::none || any(interest, reads ? RawInterest::in : RawInterest::out);
  if (!is_asked_for && !is_over) return RawReady::none;
  const RawReady ready = reads ? RawReady::in : RawReady::out;
  if (error_of(event) != 0) return ready | RawReady::err | RawReady::hup;
  return is_over && is_other_over() ? ready | RawReady::hup : ready;
}

/// The generation of a registration, which is what the kernel keeps for us. (A whole token has no
/// room in a pointer of 32 bits. On some BSDs it is no pointer at all.)
template <class Data = decltype(Event::udata)>
Data to_udata(std::uint32_t generation) {
  if constexpr (std::is_pointer_v<Data>) {
    return reinterpret_cast<Data>(std::uintptr_t{generation});
  } else {
    return static_cast<Data>(generation);
  }
}
template <class Data>
std::uint32_t to_generation(Data udata) {
  if constexpr (std::is_pointer_v<Data>) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(udata));
  } else {
    return static_cast<std::uint32_t>(udata);
  }
}

}  // namespace pollux::detail::kqueue
