// SPDX-License-Identifier: MIT
// What a call that moves bytes has come to.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstddef>

#include "platform/stream_io.hpp"
#if !defined(__APPLE__)
#include "platform/posix/sigpipe.hpp"
#endif

namespace pollux::detail::platform {

inline Moved moved(long result) noexcept {
  if (result >= 0) return {static_cast<std::size_t>(result)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, true};
  return {0, false, errno};
}

#if defined(__APPLE__)

/// prepare_to_move() has provided for it.
template <class Write>
Moved write_quietly(Write write, SystemCalls& calls, std::size_t = 0) noexcept {
  return moved(uninterrupted(write, calls));
}

#else

inline bool ignores_sigpipe(SystemCalls& calls) noexcept {
  struct sigaction action {};
  ++calls;
  return ::sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Of what has no flag for it. `size`: of a call that sends several times, and may end short with
/// the signal; 0 of others.
template <class Write>
Moved write_quietly(Write write, SystemCalls& calls, std::size_t size = 0) noexcept {
  if (ignores_sigpipe(calls)) return moved(uninterrupted(write, calls));
  SigpipeBlocked blocked{calls};
  const Moved result = moved(uninterrupted(write, calls));
  if (result.error == EPIPE || (result.bytes != 0 && result.bytes < size)) blocked.raised();
  return result;
}

#endif

}  // namespace pollux::detail::platform
