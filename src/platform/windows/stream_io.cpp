// SPDX-License-Identifier: MIT
#include "platform/stream_io.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "platform/open_socket.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux::detail::platform {

namespace {

Moved moved(int result, DWORD bytes) noexcept {
  if (result == 0) return {bytes};
  const int error = ::WSAGetLastError();
  if (error == WSAEWOULDBLOCK) return {0, true};
  return {0, false, error};
}

}  // namespace

int prepare_to_move(NativeHandle handle, StreamKind, SystemCalls& calls) noexcept {
  return make_non_blocking(handle, calls);
}

Moved read_some(NativeHandle handle, StreamKind, std::span<std::byte> into,
                SystemCalls& calls) noexcept {
  constexpr std::size_t most = std::numeric_limits<int>::max();
  WSABUF buffer{static_cast<ULONG>(std::min(into.size(), most)),
                reinterpret_cast<char*>(into.data())};
  DWORD bytes = 0;
  DWORD flags = 0;
  ++calls;
  const int result = ::WSARecv(handle, &buffer, 1, &bytes, &flags, nullptr, nullptr);
  return moved(result, bytes);
}

Moved write_some(NativeHandle handle, StreamKind,
                 std::span<const std::span<const std::byte>> pieces, SystemCalls& calls) noexcept {
  constexpr std::size_t most = std::numeric_limits<int>::max();
  std::array<WSABUF, most_pieces> buffers;
  std::size_t count = 0;
  bool whole = true;
  while (whole && count < std::min(pieces.size(), buffers.size())) {
    const std::span<const std::byte> piece = pieces[count];
    whole = piece.size() <= most;  // nothing goes behind a part of one
    buffers[count++] = {static_cast<ULONG>(std::min(piece.size(), most)),
                        reinterpret_cast<char*>(const_cast<std::byte*>(piece.data()))};
  }
  DWORD bytes = 0;
  ++calls;
  const int result =
      ::WSASend(handle, buffers.data(), static_cast<DWORD>(count), &bytes, 0, nullptr, nullptr);
  return moved(result, bytes);
}

std::size_t unacknowledged(NativeHandle, SystemCalls&) noexcept {
  return 0;
}

void reset_on_close(NativeHandle handle, SystemCalls& calls) noexcept {
  const linger now{1, 0};
  ++calls;
  ::setsockopt(handle, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&now), sizeof now);
}

int close_owned(NativeHandle handle) noexcept {
  return ::closesocket(handle) == 0 ? 0 : ::WSAGetLastError();
}

}  // namespace pollux::detail::platform
