// SPDX-License-Identifier: MIT
#include "platform/open_socket.hpp"

#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

#include <pollux/unique_handle.hpp>

#include "platform/platform.hpp"
#include "platform/posix/prepared.hpp"

namespace pollux::detail::platform {

namespace {

/// The path of a name that is in the file system; empty for others.
std::string_view path_of(const Address& address) noexcept {
  if (address.family() != Address::Family::unix_name) return {};
  return static_cast<const sockaddr_un*>(address.data())->sun_path;  // of abstract names: ""
}

/// Whether the name is a socket's that nobody has open any more. Whoever has it open does not
/// notice: a socket of another type is refused either way, but with EPROTOTYPE then (unix(7)).
bool is_left_over(const Address& address, NativeHandle of_its_type, SystemCalls& calls) noexcept {
  struct stat file {};
  const std::string_view path = path_of(address);
  if (path.empty()) return false;
  ++calls;
  if (::stat(path.data(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  int type = 0;
  socklen_t size = sizeof type;
  ++calls;
  if (::getsockopt(of_its_type, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
  const UniqueHandle probe{
      open_socket(Address::Family::unix_name,
                  type == SOCK_STREAM ? SocketType::datagram : SocketType::stream, calls)
          .handle};
  ++calls;
  return probe &&
         ::connect(probe.get(), sockaddr_of(address), static_cast<socklen_t>(address.size())) !=
             0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Opened open_socket(Address::Family family, SocketType type, SystemCalls& calls) noexcept {
  int domain = AF_UNIX;
  if (family == Address::Family::none) return {no_handle, EINVAL};
  if (family == Address::Family::ipv4) domain = AF_INET;
  if (family == Address::Family::ipv6) domain = AF_INET6;
  const int kind = type == SocketType::stream ? SOCK_STREAM : SOCK_DGRAM;
  const NativeHandle socket = make_prepared(domain, kind, calls);
  return socket != no_handle ? Opened{socket} : Opened{no_handle, errno};
}

int make_non_blocking(NativeHandle handle, SystemCalls& calls) noexcept {
  ++calls;
  const int flags = ::fcntl(handle, F_GETFL);
  if (flags < 0) return errno;
  if ((flags & O_NONBLOCK) != 0) return 0;
  ++calls;
  return ::fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : errno;
}

int set_option(NativeHandle socket, int level, int name, int value, SystemCalls& calls) noexcept {
  ++calls;
  return ::setsockopt(socket, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

Address own_address(NativeHandle socket, SystemCalls& calls) noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  ++calls;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return {&own, size};
}

Address peer_address(NativeHandle socket, SystemCalls& calls) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  ++calls;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  return {&peer, size};
}

int bind_at(NativeHandle socket, const Address& address, SystemCalls& calls) noexcept {
  const auto size = static_cast<socklen_t>(address.size());
  ++calls;
  if (::bind(socket, sockaddr_of(address), size) == 0) return 0;
  const int error = errno;
  if (error != EADDRINUSE || !is_left_over(address, socket, calls)) return error;
  remove_name(address, calls);
  ++calls;
  return ::bind(socket, sockaddr_of(address), size) == 0 ? 0 : errno;
}

void remove_name(const Address& address, SystemCalls& calls) noexcept {
  if (path_of(address).empty()) return;
  ++calls;
  ::unlink(path_of(address).data());
}

}  // namespace pollux::detail::platform
