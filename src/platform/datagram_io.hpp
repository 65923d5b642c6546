// SPDX-License-Identifier: MIT
// The calls of a datagram socket. None waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <pollux/address.hpp>
#include <pollux/backend.hpp>
#include <pollux/datagram.hpp>
#include <pollux/system_calls.hpp>

#include "platform/open_socket.hpp"

namespace pollux::detail::platform {

/// How many messages one call receives or sends at most.
inline constexpr std::size_t most_messages = 32;

/// Where one message is received, and what is known of it then. Nobody clears it before.
struct MessageSlot {
  static constexpr std::size_t most_name = 128;

  std::byte* memory;
  std::uint32_t room;
  std::uint32_t size;
  std::uint32_t name_size;
  bool truncated;
  alignas(8) std::byte name[most_name];
};

/// `name` is a sockaddr; null: the peer that the socket is connected to.
struct OutgoingMessage {
  Bytes bytes;
  const void* name = nullptr;
  std::size_t name_size = 0;
};

/// How many messages were sent or received, and why not more: where neither is said, all were, or
/// there were no more. An error may be what was said of a message that had been sent before: then
/// the call, made again, goes on.
struct Exchanged {
  std::size_t count = 0;
  bool would_block = false;
  int error = 0;
};

/// A socket bound to `local`, or to nothing if that is no address: then of `family`.
Opened open_datagram(const Address& local, Address::Family family, bool reuse_port,
                     SystemCalls& calls) noexcept;
/// 0, or the number of the error.
int connect_datagram(NativeHandle socket, const Address& peer, SystemCalls& calls) noexcept;

Exchanged receive_messages(NativeHandle socket, std::span<MessageSlot> slots,
                           SystemCalls& calls) noexcept;
Exchanged send_messages(NativeHandle socket, std::span<const OutgoingMessage> messages,
                        SystemCalls& calls) noexcept;

/// Has the system keep all that is said of messages that were sent, or no longer. Whether it does:
/// then next_error() has it.
bool keep_errors(NativeHandle socket, Address::Family family, bool on, SystemCalls& calls) noexcept;
/// Of what is pending, the next. False if nothing is.
bool next_error(NativeHandle socket, bool are_kept, DatagramError& error,
                SystemCalls& calls) noexcept;
/// Whether both are of one host: the system does not always know the port.
inline bool is_same_host(const Address& a, const Address& b) noexcept {
  if (a.family() != b.family()) return false;
  if (a.family() == Address::Family::ipv4) {
    return static_cast<const sockaddr_in*>(a.data())->sin_addr.s_addr ==
           static_cast<const sockaddr_in*>(b.data())->sin_addr.s_addr;
  }
  if (a.family() != Address::Family::ipv6) return a == b;
  return std::memcmp(&static_cast<const sockaddr_in6*>(a.data())->sin6_addr,
                     &static_cast<const sockaddr_in6*>(b.data())->sin6_addr, sizeof(in6_addr)) == 0;
}

}  // namespace pollux::detail::platform
