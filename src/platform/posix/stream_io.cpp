// SPDX-License-Identifier: MIT
#include "platform/stream_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/open_socket.hpp"
#include "platform/posix/moved.hpp"

namespace pollux::detail::platform {

namespace {

#if defined(MSG_NOSIGNAL) && !defined(POLLUX_PORTABLE_SYSTEM)
constexpr int quietly = MSG_NOSIGNAL;
#else
constexpr int quietly = 0;
#endif

template <class Send>
Moved send_quietly(Send send, SystemCalls& calls) noexcept {
  return quietly != 0 ? moved(uninterrupted(send, calls)) : write_quietly(send, calls);
}

}  // namespace

int prepare_to_move(NativeHandle handle, StreamKind kind, SystemCalls& calls) noexcept {
#if defined(__APPLE__)
  const int on = 1;
  ++calls;
  if (kind == StreamKind::socket)
    return ::setsockopt(handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == 0 ? 0 : errno;
  ::fcntl(handle, F_SETNOSIGPIPE, on);
#endif
  return kind == StreamKind::socket ? 0 : make_non_blocking(handle, calls);
}

Moved read_some(NativeHandle handle, StreamKind kind, std::span<std::byte> into,
                SystemCalls& calls) noexcept {
  const auto read = [&] {
    return kind == StreamKind::socket ? ::recv(handle, into.data(), into.size(), MSG_DONTWAIT)
                                      : ::read(handle, into.data(), into.size());
  };
  return moved(uninterrupted(read, calls));
}

Moved write_some(NativeHandle handle, StreamKind kind,
                 std::span<const std::span<const std::byte>> pieces, SystemCalls& calls) noexcept {
  if (kind == StreamKind::socket && pieces.size() == 1) {
    const std::span<const std::byte> bytes = pieces.front();
    return send_quietly(
        [&] { return ::send(handle, bytes.data(), bytes.size(), quietly | MSG_DONTWAIT); }, calls);
  }
  std::array<iovec, most_pieces> vectors;
  const std::size_t count = std::min(pieces.size(), vectors.size());
  for (std::size_t i = 0; i < count; ++i)
    vectors[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  if (kind != StreamKind::socket) {
    const auto write = [&] { return ::writev(handle, vectors.data(), static_cast<int>(count)); };
    return write_quietly(write, calls);
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  return send_quietly([&] { return ::sendmsg(handle, &message, quietly | MSG_DONTWAIT); }, calls);
}

std::size_t unacknowledged(NativeHandle handle, SystemCalls& calls) noexcept {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  // Of AF_UNIX it would be what the peer has not read.
  ++calls;
  if (::getsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &bytes, &size) != 0) return 0;
  bytes = 0;
#if defined(SO_NWRITE)
  ++calls;
  if (::getsockopt(handle, SOL_SOCKET, SO_NWRITE, &bytes, &size) != 0) return 0;
#elif defined(FIONWRITE)
  ++calls;
  if (::ioctl(handle, FIONWRITE, &bytes) != 0) return 0;
#elif defined(TIOCOUTQ)  // which SIOCOUTQ is another name of: tcp(7)
  ++calls;
  if (::ioctl(handle, TIOCOUTQ, &bytes) != 0) return 0;
#endif
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void reset_on_close(NativeHandle handle, SystemCalls& calls) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ++calls;
  ::setsockopt(handle, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

int close_owned(NativeHandle handle) noexcept {
  // What a signal cuts short is closed all the same, and the number may be another's by then.
  if (::close(handle) == 0 || errno == EINTR || errno == EINPROGRESS) return 0;
  return errno;
}

}  // namespace pollux::detail::platform
