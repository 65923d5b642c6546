// SPDX-License-Identifier: MIT
// Linux's own word on who may be watched, and who is who: epoll takes open files, not numbers.
#include <atomic>
#include <cerrno>

#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

namespace {

/// The kernel mounts this file system once, for itself. Its device number is learnt from the first
/// file of that kind; a socket's or a pipe's name in a directory is on another device.
bool is_on(std::atomic<std::uint64_t>& known, std::uint64_t device, NativeHandle handle,
           unsigned magic, std::uint64_t& calls) noexcept {
  const std::uint64_t found = known.load(std::memory_order_relaxed);
  if (found != 0) return found == device;
  ++calls;
  struct statfs system {};
  if (::fstatfs(handle, &system) != 0 || static_cast<unsigned>(system.f_type) != magic)
    return false;
  known.store(device, std::memory_order_relaxed);
  return true;
}

int control(NativeHandle set, int operation, NativeHandle handle, std::uint64_t& calls) noexcept {
  epoll_event nothing{};
  ++calls;
  return ::epoll_ctl(set, operation, handle, &nothing) == 0 ? 0 : errno;
}

}  // namespace

Device device_of(NativeHandle handle, std::uint64_t device, unsigned mode,
                 std::uint64_t& calls) noexcept {
  static std::atomic<std::uint64_t> sockets{0};
  static std::atomic<std::uint64_t> pipes{0};
  if (S_ISSOCK(mode) && is_on(sockets, device, handle, SOCKFS_MAGIC, calls)) return Device::sockets;
  if (S_ISFIFO(mode) && is_on(pipes, device, handle, PIPEFS_MAGIC, calls)) return Device::pipes;
  return Device::other;
}

int refusal_to_watch(NativeHandle handle, unsigned mode, std::uint64_t& calls) noexcept {
  const NativeHandle set = open_file_set(calls);
  // Short of descriptors: no reason to call the file unfit, unless its type tells.
  if (set == no_handle) return S_ISREG(mode) || S_ISDIR(mode) ? EPERM : 0;
  const int refused = add_to_file_set(set, handle, calls);
  close_handle(set, calls);
  return refused == EPERM || refused == EBADF ? refused : 0;
}

NativeHandle open_file_set(std::uint64_t& calls) noexcept {
  ++calls;
  return ::epoll_create1(EPOLL_CLOEXEC);
}

int add_to_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept {
  const int error = control(set, EPOLL_CTL_ADD, handle, calls);
  return error == EEXIST ? 0 : error;
}

bool is_in_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept {
  return control(set, EPOLL_CTL_MOD, handle, calls) == 0;
}

void remove_from_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept {
  static_cast<void>(control(set, EPOLL_CTL_DEL, handle, calls));
}

}  // namespace pollux::detail::platform
