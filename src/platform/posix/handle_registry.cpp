// SPDX-License-Identifier: MIT
// Who may be watched, and which open file a number stands for.
#include <cerrno>
#include <new>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux {

namespace platform = detail::platform;

namespace {

HandleIdentity identity_of(const struct stat& status) noexcept {
  return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino)};
}

/// Both ends of a pipe are one inode.
std::uint32_t access_of(NativeHandle handle, SystemCalls& calls) noexcept {
  ++calls;
  return static_cast<std::uint32_t>(::fcntl(handle, F_GETFL) & O_ACCMODE);
}

}  // namespace

HandleIdentity identify(NativeHandle handle, std::error_code& error, SystemCalls& calls) noexcept {
  struct stat status;
  ++calls;
  if (::fstat(handle, &status) != 0) {
    error = platform::error_code(errno);
    return {};
  }
  error.clear();
  HandleIdentity identity = identity_of(status);
  const auto mode = static_cast<unsigned>(status.st_mode);
  if (S_ISFIFO(status.st_mode)) identity.access = access_of(handle, calls);
  platform::System system{calls};
  if (system.device_of(handle, identity.device, mode) != platform::Device::other) return identity;
  const int refused = system.refusal_to_watch(handle, mode);
  if (refused != 0) error = platform::error_code(refused);
  return identity;
}

NativeHandle duplicate_handle(NativeHandle handle, std::error_code& error) noexcept {
  const NativeHandle copy = ::fcntl(handle, F_DUPFD_CLOEXEC, 0);
  error = copy == no_handle ? platform::error_code(errno) : std::error_code{};
  return copy;
}

void close_handle(NativeHandle handle) noexcept {
  ::close(handle);
}

void HandleRegistry::make_room(std::uint32_t keys) {
  if (keys_ >= keys) return;
  known_.resize(keys);
  keys_ = keys;
}

std::error_code HandleRegistry::add(std::uint32_t key, NativeHandle handle) noexcept {
  struct stat status;
  ++calls_;
  if (::fstat(handle, &status) != 0) return platform::error_code(errno);
  const HandleIdentity identity = identity_of(status);
  const bool is_usual = S_ISSOCK(status.st_mode) && identity.device == socket_device_;
  if (!is_usual || key >= keys_)
    return add_new(key, handle, identity, static_cast<unsigned>(status.st_mode));
  known_[key] = {identity, By::identity};
  return {};
}

std::error_code HandleRegistry::add_new(std::uint32_t key, NativeHandle handle,
                                        HandleIdentity identity, unsigned mode) noexcept {
  if (S_ISFIFO(mode)) identity.access = access_of(handle, calls_);
  Known known{identity, By::identity};
  if (const std::error_code error = examine(handle, mode, known)) return error;
  try {
    if (key >= keys_) make_room(key + key / 2 + 16);
  } catch (const std::bad_alloc&) {
    if (known.known_by == By::set) remove_from_set(key, handle);
    return system_error_code(std::errc::not_enough_memory);
  }
  known_[key] = known;
  return {};
}

/// Of a socket and a pipe no other has the same identity, and both may be watched. All else the
/// kernel is asked about.
std::error_code HandleRegistry::examine(NativeHandle handle, unsigned mode, Known& known) noexcept {
  platform::System system{calls_};
  const platform::Device on = system.device_of(handle, known.identity.device, mode);
  if (on == platform::Device::sockets) socket_device_ = known.identity.device;
  if (on != platform::Device::other) return {};
  if (set_ == no_handle) set_ = system.open_file_set();
  int refused = 0;
  if (set_ != no_handle) {
    known.known_by = By::set;
    refused = system.add_to_file_set(set_, handle);
  } else {
    refused = system.refusal_to_watch(handle, mode);
  }
  return refused != 0 ? platform::error_code(refused) : std::error_code{};
}

bool HandleRegistry::is_same(std::uint32_t key, NativeHandle handle) noexcept {
  if (!knows(key)) return false;
  const Known& known = known_[key];
  if (known.known_by == By::set) return platform::System{calls_}.is_in_file_set(set_, handle);
  struct stat status;
  ++calls_;
  if (::fstat(handle, &status) != 0) return false;
  HandleIdentity identity = identity_of(status);
  if (S_ISFIFO(status.st_mode)) identity.access = access_of(handle, calls_);
  return identity == known.identity;
}

bool HandleRegistry::was_closed(std::uint32_t) const noexcept {
  return false;
}

/// Fails where the number is another's by now: the set has forgotten the file that was closed.
void HandleRegistry::remove_from_set(std::uint32_t, NativeHandle handle) noexcept {
  platform::System{calls_}.remove_from_file_set(set_, handle);
}

void HandleRegistry::reset() noexcept {
  if (set_ != no_handle) ::close(set_);
  set_ = no_handle;
  known_.clear();
  keys_ = 0;
}

}  // namespace pollux
