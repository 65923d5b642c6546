// SPDX-License-Identifier: MIT
// Who may be watched, and which open file a number stands for.
#include <cerrno>
#include <new>

#include <fcntl.h>
#include <sys/stat.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux {

namespace platform = detail::platform;

namespace {

/// What fstat() says, `mode` with it. The error is cleared if it says anything.
HandleIdentity look_up(NativeHandle handle, unsigned& mode, std::error_code& error,
                       std::uint64_t& calls) noexcept {
  ++calls;
  struct stat status {};
  if (::fstat(handle, &status) != 0) {
    error = platform::error_code(errno);
    return {};
  }
  error.clear();
  HandleIdentity identity{static_cast<std::uint64_t>(status.st_dev),
                          static_cast<std::uint64_t>(status.st_ino)};
  mode = static_cast<unsigned>(status.st_mode);
  // Both ends of a pipe are one inode.
  if (S_ISFIFO(status.st_mode)) {
    ++calls;
    identity.access = static_cast<std::uint32_t>(::fcntl(handle, F_GETFL) & O_ACCMODE);
  }
  return identity;
}

/// Of a socket and a pipe no other has the same, and both may be watched.
bool is_told_by_identity(NativeHandle handle, const HandleIdentity& identity, unsigned mode,
                         std::uint64_t& calls) noexcept {
  return platform::device_of(handle, identity.device, mode, calls) != platform::Device::other;
}

}  // namespace

HandleIdentity identify(NativeHandle handle, std::error_code& error,
                        std::uint64_t& calls) noexcept {
  unsigned mode = 0;
  const HandleIdentity identity = look_up(handle, mode, error, calls);
  if (error || is_told_by_identity(handle, identity, mode, calls)) return identity;
  const int refused = platform::refusal_to_watch(handle, mode, calls);
  if (refused != 0) error = platform::error_code(refused);
  return identity;
}

void HandleRegistry::make_room(std::uint32_t keys) {
  if (known_.size() < keys) known_.resize(keys);
}

std::error_code HandleRegistry::add(std::uint32_t key, NativeHandle handle,
                                    std::uint64_t& calls) noexcept {
  Known known;
  if (const std::error_code error = examine(handle, known, calls)) return error;
  try {
    if (key >= known_.size()) make_room(key + key / 2 + 16);
  } catch (const std::bad_alloc&) {
    if (known.in_set) platform::remove_from_file_set(set_, handle, calls);
    return refusal(std::errc::not_enough_memory);
  }
  known.put_down = true;
  known_[key] = known;
  return {};
}

std::error_code HandleRegistry::examine(NativeHandle handle, Known& known,
                                        std::uint64_t& calls) noexcept {
  std::error_code error;
  unsigned mode = 0;
  known.identity = look_up(handle, mode, error, calls);
  if (error || is_told_by_identity(handle, known.identity, mode, calls)) return error;
  if (set_ == no_handle) set_ = platform::open_file_set(calls);
  known.in_set = set_ != no_handle;
  int refused = 0;
  if (known.in_set) {
    refused = platform::add_to_file_set(set_, handle, calls);
  } else {
    refused = platform::refusal_to_watch(handle, mode, calls);
  }
  return refused != 0 ? platform::error_code(refused) : std::error_code{};
}

bool HandleRegistry::is_same(std::uint32_t key, NativeHandle handle,
                             std::uint64_t& calls) noexcept {
  if (key >= known_.size() || !known_[key].put_down) return false;
  if (known_[key].in_set) return platform::is_in_file_set(set_, handle, calls);
  std::error_code error;
  unsigned mode = 0;
  return look_up(handle, mode, error, calls) == known_[key].identity && !error;
}

void HandleRegistry::remove(std::uint32_t key, NativeHandle handle, std::uint64_t& calls) noexcept {
  if (key >= known_.size() || !known_[key].put_down) return;
  // Fails where the number is another's by now: the set has forgotten the file that was closed.
  if (known_[key].in_set) platform::remove_from_file_set(set_, handle, calls);
  known_[key] = {};
}

void HandleRegistry::reset() noexcept {
  std::uint64_t uncounted = 0;
  if (set_ != no_handle) platform::close_handle(set_, uncounted);
  set_ = no_handle;
  known_.clear();
}

}  // namespace pollux
