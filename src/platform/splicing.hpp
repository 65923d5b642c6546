// SPDX-License-Identifier: MIT
// Bytes that go from one socket to another inside the kernel, where it can do that: by a pipe,
// which has them meanwhile.
#pragma once

#include <cstddef>

#include <pollux/backend.hpp>
#include <pollux/system_calls.hpp>
#include <pollux/unique_handle.hpp>

#include "platform/stream_io.hpp"
#include "platform/stream_state.hpp"

namespace pollux::detail::platform {

struct PipeEnds {
  UniqueHandle reader;
  UniqueHandle writer;
};

/// Whether bytes go from the one to the other by a pipe, and no call waits.
bool can_splice(NativeHandle from, StreamKind from_kind, NativeHandle to, StreamKind to_kind,
                SystemCalls& calls) noexcept;
/// No ends, where the system has none to give.
PipeEnds open_pipe(SystemCalls& calls) noexcept;
/// From a socket into a pipe, at most so many bytes. No byte, and no error: there are none, or
/// another way is to be tried.
Moved splice_in(NativeHandle from, NativeHandle pipe, std::size_t most,
                SystemCalls& calls) noexcept;
/// From a pipe that has so many bytes to a socket.
Moved splice_out(NativeHandle pipe, NativeHandle to, std::size_t bytes,
                 SystemCalls& calls) noexcept;

}  // namespace pollux::detail::platform
