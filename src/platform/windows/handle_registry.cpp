// SPDX-License-Identifier: MIT
// Who may be watched, sockets alone, and which open socket a number stands for.
#include <bit>
#include <cstddef>
#include <new>

#include <pollux/backend_support.hpp>
#include <pollux/detail/afd_poll.hpp>
#include <pollux/error.hpp>

#include "platform/windows/file_set.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux {

namespace {

using detail::platform::FileSet;

// `set_` of a registry is its FileSet: a handle has room for a pointer here.
FileSet* set_of(NativeHandle set) noexcept {
  return set != no_handle ? reinterpret_cast<FileSet*>(set) : nullptr;
}

/// 0 for what has none. As HandleIdentity keeps them.
struct Ports {
  std::uint16_t own;
  std::uint16_t peer;
  std::uint32_t is_socket;
};

std::uint16_t port_of(int(WSAAPI* ask)(SOCKET, sockaddr*, int*), NativeHandle handle,
                      std::uint32_t& is_socket) noexcept {
  sockaddr_storage name{};
  int size = sizeof name;
  if (ask(handle, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    if (::WSAGetLastError() == WSAENOTSOCK) is_socket = 0;
    return 0;
  }
  // At the same place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return reinterpret_cast<const sockaddr_in&>(name).sin_port;
}

Ports ports_of(NativeHandle handle, SystemCalls& calls) noexcept {
  Ports ports{0, 0, 1};
  calls += 2;
  ports.own = port_of(&::getsockname, handle, ports.is_socket);
  if (ports.is_socket != 0) ports.peer = port_of(&::getpeername, handle, ports.is_socket);
  return ports;
}

/// By its ports alone: of a socket that was closed, as far as they tell.
bool may_be_same(const HandleIdentity& known, NativeHandle handle, SystemCalls& calls) noexcept {
  const Ports then = std::bit_cast<Ports>(known.device);
  const Ports now = ports_of(handle, calls);
  if (now.is_socket == 0 || (then.own != 0 && now.own != then.own)) return false;
  // That of the peer comes with the connection, and may go with it.
  return then.peer == 0 || now.peer == 0 || now.peer == then.peer;
}

}  // namespace

HandleIdentity identify(NativeHandle handle, std::error_code& error, SystemCalls& calls) noexcept {
  const SOCKET base = detail::afd::base_socket(handle, calls, error);
  if (error) return {};
  return {std::bit_cast<std::uint64_t>(ports_of(handle, calls)), base, 0};
}

NativeHandle duplicate_handle(NativeHandle handle, std::error_code& error) noexcept {
  detail::platform::start_sockets();
  error.clear();
  WSAPROTOCOL_INFOW info;
  if (::WSADuplicateSocketW(handle, ::GetCurrentProcessId(), &info) == 0) {
    const SOCKET copy = ::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO,
                                     &info, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (copy != INVALID_SOCKET) return copy;
  }
  error = {::WSAGetLastError(), native_category()};
  return no_handle;
}

void close_handle(NativeHandle handle) noexcept {
  ::closesocket(handle);
}

void HandleRegistry::make_room(std::uint32_t keys) {
  if (keys_ >= keys) return;
  known_.resize(keys);
  keys_ = keys;
}

std::error_code HandleRegistry::add(std::uint32_t key, NativeHandle handle) noexcept {
  std::error_code error;
  const HandleIdentity identity = identify(handle, error, calls_);
  return error ? error : add_new(key, handle, identity, 0);
}

std::error_code HandleRegistry::add_new(std::uint32_t key, NativeHandle, HandleIdentity identity,
                                        unsigned) noexcept {
  try {
    if (key >= keys_) make_room(key + key / 2 + 16);
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }
  Known known{identity, By::set};
  std::error_code error;
  try {
    if (set_ == no_handle) {
      auto set = std::make_unique<FileSet>(calls_, error);
      if (!error) set_ = reinterpret_cast<NativeHandle>(set.release());
    }
    if (!error) error = set_of(set_)->add(key, static_cast<SOCKET>(identity.inode));
  } catch (const std::bad_alloc&) {
    error = system_error_code(std::errc::not_enough_memory);
  }
  if (error && error != std::errc::not_enough_memory) return error;
  if (error) {  // what is promised for keys that there is room for has to do without
    known.known_by = By::identity;
    if (set_ != no_handle) set_of(set_)->remove(key);
  }
  known_[key] = known;
  return {};
}

/// The set does not learn that a number was closed while a duplicate of the socket is open. By then
/// the number may be another's, which has other ports.
bool HandleRegistry::is_same(std::uint32_t key, NativeHandle handle) noexcept {
  if (!knows(key)) return false;
  const Known& known = known_[key];
  if (known.known_by == By::set && !set_of(set_)->is_open(key)) return false;
  return may_be_same(known.identity, handle, calls_);
}

bool HandleRegistry::was_closed(std::uint32_t key) const noexcept {
  if (!knows(key)) return false;
  const Known& known = known_[key];
  if (known.known_by == By::set) return !set_of(set_)->is_open(key);
  return !may_be_same(known.identity, static_cast<SOCKET>(known.identity.inode), calls_);
}

void HandleRegistry::remove_from_set(std::uint32_t key, NativeHandle) noexcept {
  set_of(set_)->remove(key);
}

void HandleRegistry::reset() noexcept {
  delete set_of(set_);
  set_ = no_handle;
  known_.clear();
  keys_ = 0;
}

}  // namespace pollux
