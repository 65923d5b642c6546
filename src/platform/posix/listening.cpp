// SPDX-License-Identifier: MIT
#include "platform/listening.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>

#include <pollux/unique_handle.hpp>

#include "platform/platform.hpp"
#include "platform/socket_headers.hpp"

namespace pollux::detail::platform {

namespace {

const sockaddr* sockaddr_of(const Address& address) noexcept {
  return static_cast<const sockaddr*>(address.data());
}

/// A descriptor that no program which is started inherits, and on which no call waits.
NativeHandle prepared(NativeHandle handle, SystemCalls& calls) noexcept {
  if (handle == no_handle) return no_handle;
  calls += 2;
  ::fcntl(handle, F_SETFD, FD_CLOEXEC);
  ::fcntl(handle, F_SETFL, O_NONBLOCK);
  return handle;
}

NativeHandle open_socket(int family, SystemCalls& calls) noexcept {
  ++calls;
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
  return prepared(::socket(family, SOCK_STREAM, 0), calls);
#endif
}

int set_option(NativeHandle handle, int level, int name, int value, SystemCalls& calls) noexcept {
  ++calls;
  return ::setsockopt(handle, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/// The path of a name that is in the file system; empty for others.
std::string_view path_of(const Address& address) noexcept {
  if (address.family() != Address::Family::unix_name) return {};
  const auto* const name = static_cast<const sockaddr_un*>(address.data());
  return name->sun_path;  // that of an abstract name is empty
}

/// Whether nobody listens at a name any more, and it is still there.
bool is_left_over(const Address& address, SystemCalls& calls) noexcept {
  if (path_of(address).empty()) return false;
  const UniqueHandle probe{open_socket(AF_UNIX, calls)};
  ++calls;
  return probe && ::connect(probe.get(), sockaddr_of(address),
                            static_cast<socklen_t>(address.size())) != 0 &&
         errno == ECONNREFUSED;
}

int bind_at(NativeHandle socket, const Address& address, SystemCalls& calls) noexcept {
  const auto size = static_cast<socklen_t>(address.size());
  ++calls;
  if (::bind(socket, sockaddr_of(address), size) == 0) return 0;
  if (errno != EADDRINUSE || !is_left_over(address, calls)) return errno;
  remove_name(address, calls);
  ++calls;
  return ::bind(socket, sockaddr_of(address), size) == 0 ? 0 : errno;
}

}  // namespace

Opened listen_at(const Address& address, int backlog, bool reuse_port,
                 SystemCalls& calls) noexcept {
  if (address.family() == Address::Family::none) return {no_handle, EINVAL};
  const bool is_name = address.family() == Address::Family::unix_name;
  UniqueHandle socket{open_socket(sockaddr_of(address)->sa_family, calls)};
  if (!socket) return {no_handle, errno};
  int error = 0;
  if (!is_name) error = set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1, calls);
  if (error == 0 && reuse_port) {
#if defined(SO_REUSEPORT)
    error = set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1, calls);
#else
    error = EOPNOTSUPP;
#endif
  }
  // `*` is all of IPv6 and IPv4, whatever the system's default is.
  if (error == 0 && address.family() == Address::Family::ipv6)
    error = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0, calls);
  if (error == 0) error = bind_at(socket.get(), address, calls);
  if (error == 0) {
    ++calls;
    if (::listen(socket.get(), backlog) != 0) error = errno;
  }
  return error == 0 ? Opened{socket.release()} : Opened{no_handle, error};
}

Accepted accept_next(NativeHandle listener, SystemCalls& calls) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  auto* const generic = reinterpret_cast<sockaddr*>(&peer);
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  const NativeHandle handle = uninterrupted(
      [&] { return ::accept4(listener, generic, &size, SOCK_CLOEXEC | SOCK_NONBLOCK); }, calls);
#else
  const NativeHandle handle = prepared(
      uninterrupted([&] { return ::accept(listener, generic, &size); }, calls), calls);
#endif
  if (handle != no_handle) return {handle, Address{&peer, size}};
  switch (errno) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
      return {no_handle, {}, true};
    // Of one that has gone again before it was accepted: accept(2), "Error handling".
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return {};
    default:
      return {no_handle, {}, false, errno};
  }
}

Address own_address(NativeHandle socket, SystemCalls& calls) noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  ++calls;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return {&own, size};
}

void remove_name(const Address& address, SystemCalls& calls) noexcept {
  if (path_of(address).empty()) return;
  ++calls;
  ::unlink(path_of(address).data());
}

void send_at_once(NativeHandle socket, SystemCalls& calls) noexcept {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, calls);
}

bool is_exhaustion(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

NativeHandle open_spare(SystemCalls& calls) noexcept {
  ++calls;
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace pollux::detail::platform
