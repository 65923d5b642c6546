// SPDX-License-Identifier: MIT
// Who may be watched, sockets alone, and which open socket a number stands for.
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

}  // namespace

HandleIdentity identify(NativeHandle handle, std::error_code& error, SystemCalls& calls) noexcept {
  const SOCKET base = detail::afd::base_socket(handle, calls, error);
  return error ? HandleIdentity{} : HandleIdentity{0, base, 0};
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
                                        unsigned) noexcept try {
  std::error_code error;
  if (set_ == no_handle) {
    auto set = std::make_unique<FileSet>(calls_, error);
    if (error) return error;
    set_ = reinterpret_cast<NativeHandle>(set.release());
  }
  if (key >= keys_) make_room(key + key / 2 + 16);
  error = set_of(set_)->add(key, static_cast<SOCKET>(identity.inode));
  if (!error) known_[key] = {identity, By::set};
  return error;
} catch (const std::bad_alloc&) {
  return system_error_code(std::errc::not_enough_memory);
}

bool HandleRegistry::is_same(std::uint32_t key, NativeHandle) noexcept {
  return knows(key) && set_of(set_)->is_open(key);
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
