// SPDX-License-Identifier: MIT
// splice(2).
#include "platform/splicing.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "platform/posix/moved.hpp"

namespace pollux::detail::platform {

namespace {

bool is_non_blocking(NativeHandle handle, SystemCalls& calls) noexcept {
  ++calls;
  const int flags = ::fcntl(handle, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

}  // namespace

/// A splice into a socket waits unless the socket itself is non-blocking: SPLICE_F_NONBLOCK speaks
/// for the pipe alone (splice(2)).
bool can_splice(NativeHandle from, StreamKind from_kind, NativeHandle to, StreamKind to_kind,
                SystemCalls& calls) noexcept {
  return from_kind == StreamKind::socket && to_kind == StreamKind::socket &&
         is_non_blocking(from, calls) && is_non_blocking(to, calls);
}

PipeEnds open_pipe(SystemCalls& calls) noexcept {
  std::array<int, 2> ends{};
  ++calls;
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return {};
  return {UniqueHandle{ends[0]}, UniqueHandle{ends[1]}};
}

Moved splice_in(NativeHandle from, NativeHandle pipe, std::size_t most,
                SystemCalls& calls) noexcept {
  const auto splice = [&] {
    return ::splice(from, nullptr, pipe, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  };
  const Moved result = moved(uninterrupted(splice, calls));
  switch (result.error) {
    case EINVAL:  // a socket whose protocol has no splice
    case EOPNOTSUPP:
    case ENOMEM:
    case ENOSYS:
    case EPERM:   // a filter of system calls
      return {};  // it can still be read
    default:
      return result;
  }
}

/// The kernel raises SIGPIPE here, also when it has sent some, and splice() has no flag against it.
Moved splice_out(NativeHandle pipe, NativeHandle to, std::size_t bytes,
                 SystemCalls& calls) noexcept {
  const auto splice = [&] {
    return ::splice(pipe, nullptr, to, nullptr, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  };
  return write_quietly(splice, calls, bytes);
}

}  // namespace pollux::detail::platform
