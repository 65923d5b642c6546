// SPDX-License-Identifier: MIT
// One registration of the backend, and what the device's words are in pollux's.
#pragma once

#include <pollux/backend.hpp>
#include <pollux/detail/afd_poll.hpp>

namespace pollux::detail::afd {

/// A reset and a failed connect are reported whatever is asked for; and a close ends the poll.
inline constexpr ULONG always = abort | connect_fail | local_close;

inline ULONG to_native(RawInterest interest) {
  ULONG events = always;
  if (any(interest, RawInterest::in)) events |= receive | accept | disconnect;
  if (any(interest, RawInterest::rdhup)) events |= disconnect;
  if (any(interest, RawInterest::out)) events |= send;
  if (any(interest, RawInterest::pri)) events |= receive_expedited;
  return events;
}

/// `asked`: a poll that is pending may have been made for more.
inline RawReady to_raw(ULONG events, RawInterest asked) {
  const bool reads = any(asked, RawInterest::in);
  RawReady ready = RawReady::none;
  if ((events & (receive | accept)) != 0 && reads) ready |= RawReady::in;
  if ((events & disconnect) != 0) {
    // A read does not block; and FIN is reported whoever asks for bytes.
    if (reads) ready |= RawReady::in;
    if (reads || any(asked, RawInterest::rdhup)) ready |= RawReady::rdhup;
  }
  if ((events & send) != 0 && any(asked, RawInterest::out)) ready |= RawReady::out;
  if ((events & receive_expedited) != 0 && any(asked, RawInterest::pri)) ready |= RawReady::pri;
  if ((events & (abort | connect_fail)) != 0) ready |= RawReady::err | RawReady::hup;
  return ready;
}

/// The number of the failure that was reported, or 0: a failed connect keeps its own in SO_ERROR.
inline int error_of(ULONG events) {
  return (events & abort) != 0 ? WSAECONNRESET : 0;
}

/// The kernel writes to its poll until the completion has come, also when it is removed.
struct Registration : Poll {
  Registration(Token named, SOCKET socket, NativeHandle watched, RawInterest interest,
               Device& by) noexcept
      : token{named}, base{socket}, handle{watched}, asked{interest}, device{by} {}

  Token token;
  SOCKET base;
  NativeHandle handle;
  RawInterest asked;
  Device& device;
  ULONG armed = 0;          ///< what the poll that is pending was made for; 0: there is none
  bool is_removed = false;  ///< kept only until its completion, or its turn to be armed, has come
  bool is_queued = false;   ///< to be armed
};

}  // namespace pollux::detail::afd
