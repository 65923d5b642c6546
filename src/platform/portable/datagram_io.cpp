// SPDX-License-Identifier: MIT
// Messages one by one. What is said of a message is one number, the socket's pending error.
#include "platform/datagram_io.hpp"

#include <cerrno>

#include <sys/socket.h>
#include <sys/uio.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

namespace {

void stopped(Exchanged& result) noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    result.would_block = true;
  } else {
    result.error = errno;
  }
}

}  // namespace

Exchanged receive_messages(NativeHandle socket, std::span<MessageSlot> slots,
                           SystemCalls& calls) noexcept {
  Exchanged result;
  for (MessageSlot& slot : slots) {
    iovec vector{slot.memory, slot.room};
    msghdr header{};
    header.msg_name = slot.name;
    header.msg_namelen = sizeof slot.name;
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    const auto receive = [&] { return ::recvmsg(socket, &header, MSG_DONTWAIT); };
    const auto size = uninterrupted(receive, calls);
    if (size < 0) {
      stopped(result);
      break;
    }
    slot.size = static_cast<std::uint32_t>(size);
    slot.name_size = header.msg_namelen;
    slot.truncated = (header.msg_flags & MSG_TRUNC) != 0;
    ++result.count;
  }
  return result;
}

Exchanged send_messages(NativeHandle socket, std::span<const OutgoingMessage> messages,
                        SystemCalls& calls) noexcept {
  Exchanged result;
  for (const OutgoingMessage& message : messages) {
    const auto send = [&] {
      return ::sendto(socket, message.bytes.data(), message.bytes.size(), MSG_DONTWAIT,
                      static_cast<const sockaddr*>(message.name),
                      static_cast<socklen_t>(message.name_size));
    };
    if (uninterrupted(send, calls) < 0) {
      stopped(result);
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
  socklen_t size = sizeof pending;
  ++calls;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &pending, &size) != 0 || pending == 0)
    return false;
  error = {};
  error.code = error_code(pending);
  return true;
}

}  // namespace pollux::detail::platform
