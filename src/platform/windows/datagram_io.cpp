// SPDX-License-Identifier: MIT
// Messages one by one. What is said of a message that was sent is the answer to a call that comes
// later: WSAECONNRESET, for as long as SIO_UDP_CONNRESET is on, which it is by itself.
#include "platform/datagram_io.hpp"

#include <algorithm>
#include <limits>

#include <pollux/unique_handle.hpp>

#include "platform/platform.hpp"
#include "platform/stream_io.hpp"

namespace pollux::detail::platform {

namespace {

/// The number that others have for it: of a datagram it says that nobody has the port.
int translated(int error) noexcept {
  return error == WSAECONNRESET ? WSAECONNREFUSED : error;
}

void stopped(Exchanged& result, int error) noexcept {
  if (error == WSAEWOULDBLOCK) {
    result.would_block = true;
  } else {
    result.error = translated(error);
  }
}

WSABUF buffer_of(const std::byte* bytes, std::size_t size) noexcept {
  constexpr std::size_t most = std::numeric_limits<ULONG>::max();
  return {static_cast<ULONG>(std::min(size, most)),
          reinterpret_cast<char*>(const_cast<std::byte*>(bytes))};
}

}  // namespace

Opened open_datagram(const Address& local, Address::Family family, bool reuse_port,
                     SystemCalls& calls) noexcept {
  if (reuse_port) return {no_handle, WSAEOPNOTSUPP};
  const bool is_bound = local.family() != Address::Family::none;
  if (is_bound) family = local.family();
  const Opened opened = open_socket(family, SocketType::datagram, calls);
  if (opened.error != 0) return opened;
  UniqueHandle socket{opened.handle};
  int error = prepare_to_move(socket.get(), StreamKind::socket, calls);
  // `*` is all of IPv6 and IPv4, which is not the default here.
  if (error == 0 && is_bound && family == Address::Family::ipv6)
    error = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0, calls);
  if (error == 0 && is_bound) error = bind_at(socket.get(), local, calls);
  return error == 0 ? Opened{socket.release()} : Opened{no_handle, error};
}

int connect_datagram(NativeHandle socket, const Address& peer, SystemCalls& calls) noexcept {
  ++calls;
  return ::connect(socket, sockaddr_of(peer), static_cast<int>(peer.size())) == 0
             ? 0
             : ::WSAGetLastError();
}

Exchanged receive_messages(NativeHandle socket, std::span<MessageSlot> slots,
                           SystemCalls& calls) noexcept {
  Exchanged result;
  for (MessageSlot& slot : slots) {
    WSABUF buffer = buffer_of(slot.memory, slot.room);
    DWORD bytes = 0;
    DWORD flags = 0;
    INT name_size = sizeof slot.name;
    ++calls;
    const int failed =
        ::WSARecvFrom(socket, &buffer, 1, &bytes, &flags, reinterpret_cast<sockaddr*>(slot.name),
                      &name_size, nullptr, nullptr);
    const int error = failed == 0 ? 0 : ::WSAGetLastError();
    slot.truncated = error == WSAEMSGSIZE;  // what there is room for has been received
    if (error != 0 && !slot.truncated) {
      stopped(result, error);
      break;
    }
    slot.size = slot.truncated ? slot.room : static_cast<std::uint32_t>(bytes);
    slot.name_size = static_cast<std::uint32_t>(name_size);
    ++result.count;
  }
  return result;
}

Exchanged send_messages(NativeHandle socket, std::span<const OutgoingMessage> messages,
                        SystemCalls& calls) noexcept {
  Exchanged result;
  for (const OutgoingMessage& message : messages) {
    WSABUF buffer = buffer_of(message.bytes.data(), message.bytes.size());
    DWORD bytes = 0;
    ++calls;
    if (::WSASendTo(socket, &buffer, 1, &bytes, 0, static_cast<const sockaddr*>(message.name),
                    static_cast<int>(message.name_size), nullptr, nullptr) != 0) {
      stopped(result, ::WSAGetLastError());
      break;
    }
    ++result.count;
  }
  return result;
}

bool keep_errors(NativeHandle, Address::Family, bool, SystemCalls&) noexcept {
  return false;
}

bool next_error(NativeHandle socket, bool, DatagramError& error, SystemCalls& calls) noexcept {
  int pending = 0;
  if (socket_option(socket, SO_ERROR, pending, calls) != 0 || pending == 0) return false;
  error = {};
  error.code = error_code(translated(pending));
  return true;
}

}  // namespace pollux::detail::platform
