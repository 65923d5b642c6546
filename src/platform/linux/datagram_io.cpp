// SPDX-License-Identifier: MIT
// Batches of messages, and the error queue.
#include "platform/datagram_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

namespace {

/// Headers for one call. Only those that are used are set.
struct Headers {
  std::array<mmsghdr, most_messages> headers;
  std::array<iovec, most_messages> vectors;

  void set(std::size_t index, void* name, std::size_t name_size, const std::byte* bytes,
           std::size_t size) noexcept {
    vectors[index] = {const_cast<std::byte*>(bytes), size};
    msghdr& header = headers[index].msg_hdr;
    header = {};
    header.msg_name = name;
    header.msg_namelen = static_cast<socklen_t>(name_size);
    header.msg_iov = &vectors[index];
    header.msg_iovlen = 1;
  }
};

Exchanged exchanged(long count) noexcept {
  if (count >= 0) return {static_cast<std::size_t>(count)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, true};
  return {0, false, errno};
}

constexpr DatagramError::Origin origin_of(unsigned origin) noexcept {
  switch (origin) {
    case SO_EE_ORIGIN_LOCAL:
      return DatagramError::Origin::local;
    case SO_EE_ORIGIN_ICMP:
      return DatagramError::Origin::icmp;
    case SO_EE_ORIGIN_ICMP6:
      return DatagramError::Origin::icmp6;
    default:
      return DatagramError::Origin::unknown;  // a time stamp, a notice of zero-copy: no error
  }
}

/// The control message of an error, if this is one.
bool read_control(const cmsghdr& control, DatagramError& error) noexcept {
  const bool is_error = (control.cmsg_level == IPPROTO_IP && control.cmsg_type == IP_RECVERR) ||
                        (control.cmsg_level == IPPROTO_IPV6 && control.cmsg_type == IPV6_RECVERR);
  sock_extended_err said{};
  if (!is_error || control.cmsg_len < CMSG_LEN(sizeof said)) return false;
  const unsigned char* const data = CMSG_DATA(&control);
  std::memcpy(&said, data, sizeof said);
  error.origin = origin_of(said.ee_origin);
  if (error.origin == DatagramError::Origin::unknown) return false;
  error.code = error_code(static_cast<int>(said.ee_errno));
  if (said.ee_errno == EMSGSIZE) error.mtu = said.ee_info;
  if (error.origin != DatagramError::Origin::local)
    error.reporter = Address{data + sizeof said, control.cmsg_len - CMSG_LEN(sizeof said)};
  return true;
}

/// False for the end of the queue.
bool next_in_queue(NativeHandle socket, DatagramError& error, SystemCalls& calls) noexcept {
  while (true) {
    sockaddr_storage peer;
    alignas(cmsghdr) std::array<std::byte, 512> control;
    msghdr header{};
    header.msg_name = &peer;
    header.msg_namelen = sizeof peer;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const auto receive = [&] { return ::recvmsg(socket, &header, MSG_ERRQUEUE | MSG_DONTWAIT); };
    if (uninterrupted(receive, calls) < 0) return false;
    error = {};
    error.peer = Address{&peer, header.msg_namelen};
    for (const cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr;
         one = CMSG_NXTHDR(&header, const_cast<cmsghdr*>(one))) {
      if (read_control(*one, error)) return true;
    }
  }
}

}  // namespace

Exchanged receive_messages(NativeHandle socket, std::span<MessageSlot> slots,
                           SystemCalls& calls) noexcept {
  Headers all;
  const auto count = static_cast<unsigned>(std::min(slots.size(), most_messages));
  for (unsigned i = 0; i < count; ++i)
    all.set(i, slots[i].name, sizeof slots[i].name, slots[i].memory, slots[i].room);
  const auto receive = [&] {
    return ::recvmmsg(socket, all.headers.data(), count, MSG_DONTWAIT, nullptr);
  };
  const Exchanged received = exchanged(uninterrupted(receive, calls));
  for (std::size_t i = 0; i < received.count; ++i) {
    slots[i].size = all.headers[i].msg_len;
    slots[i].name_size = all.headers[i].msg_hdr.msg_namelen;
    slots[i].truncated = (all.headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
  }
  return received;
}

Exchanged send_messages(NativeHandle socket, std::span<const OutgoingMessage> messages,
                        SystemCalls& calls) noexcept {
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (messages.size() == 1) {  // in fewer steps
    const OutgoingMessage& message = messages.front();
    const auto send = [&] {
      return ::sendto(socket, message.bytes.data(), message.bytes.size(), flags,
                      static_cast<const sockaddr*>(message.name),
                      static_cast<socklen_t>(message.name_size));
    };
    const Exchanged sent = exchanged(uninterrupted(send, calls));
    return sent.would_block || sent.error != 0 ? sent : Exchanged{1};
  }
  Headers all;
  const auto count = static_cast<unsigned>(std::min(messages.size(), most_messages));
  for (unsigned i = 0; i < count; ++i) {
    const OutgoingMessage& message = messages[i];
    all.set(i, const_cast<void*>(message.name), message.name_size, message.bytes.data(),
            message.bytes.size());
  }
  const auto send = [&] { return ::sendmmsg(socket, all.headers.data(), count, flags); };
  return exchanged(uninterrupted(send, calls));
}

bool keep_errors(NativeHandle socket, Address::Family family, bool on,
                 SystemCalls& calls) noexcept {
  const bool is_ipv6 = family == Address::Family::ipv6;
  if (!is_ipv6 && family != Address::Family::ipv4) return false;
  if (is_ipv6 && set_option(socket, IPPROTO_IPV6, IPV6_RECVERR, on ? 1 : 0, calls) != 0)
    return false;
  // Of a socket of IPv6 this is for its peers of IPv4.
  const bool kept = set_option(socket, IPPROTO_IP, IP_RECVERR, on ? 1 : 0, calls) == 0;
  return on && (kept || is_ipv6);
}

bool next_error(NativeHandle socket, bool are_kept, DatagramError& error,
                SystemCalls& calls) noexcept {
  // AF_UNIX has no queue, and would take the flag for none: a message would be lost.
  if (are_kept && next_in_queue(socket, error, calls)) return true;
  // What was not kept, for want of memory, or of a queue.
  int pending = 0;
  socklen_t size = sizeof pending;
  ++calls;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &pending, &size) != 0 || pending == 0)
    return false;
  error = {};
  error.code = error_code(pending);
  return true;
}

}  // namespace pollux::detail::platform
