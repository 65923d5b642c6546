// SPDX-License-Identifier: MIT
// The calls that move a stream's bytes. None waits, and none raises SIGPIPE.
#pragma once

#include <cstddef>
#include <span>

#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>

#include "platform/platform.hpp"
#include "platform/stream_state.hpp"

namespace pollux::detail::platform {

/// What a call has moved. Of a read that has moved nothing, without an error: the end.
struct Moved {
  std::size_t bytes = 0;
  bool would_block = false;
  int error = 0;
};

/// How many pieces one write takes at most.
inline constexpr std::size_t most_pieces = 16;

/// So that no call on it waits, and none raises SIGPIPE, where a call cannot say so by itself.
/// 0, or the number of the error.
int prepare_to_move(NativeHandle handle, StreamKind kind, SystemCalls& calls) noexcept;
Moved read_some(NativeHandle handle, StreamKind kind, std::span<std::byte> into,
                SystemCalls& calls) noexcept;
Moved write_some(NativeHandle handle, StreamKind kind,
                 std::span<const std::span<const std::byte>> pieces, SystemCalls& calls) noexcept;
/// How many bytes that were written have not arrived at the peer, as far as the system says; 0 for
/// what has no such thing.
std::size_t unacknowledged(NativeHandle handle, SystemCalls& calls) noexcept;
/// The close of it is a reset from now on; of a socket that has none, nothing.
void reset_on_close(NativeHandle handle, SystemCalls& calls) noexcept;
/// 0, or the number of the error. It is closed in any case.
int close_owned(NativeHandle handle) noexcept;

}  // namespace pollux::detail::platform
