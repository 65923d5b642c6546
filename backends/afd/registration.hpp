// SPDX-License-Identifier: MIT
// One registration of the backend.
#pragma once

#include <pollux/backend.hpp>
#include <pollux/detail/afd_poll.hpp>

namespace pollux::detail::afd {

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
