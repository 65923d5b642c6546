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
bool is_on(System& system, std::atomic<std::uint64_t>& known, std::uint64_t device,
           NativeHandle handle, unsigned magic) noexcept {
  const std::uint64_t found = known.load(std::memory_order_relaxed);
  if (found != 0) return found == device;
  ++system.calls();
  struct statfs mounted {};
  if (::fstatfs(handle, &mounted) != 0 || static_cast<unsigned>(mounted.f_type) != magic)
    return false;
  known.store(device, std::memory_order_relaxed);
  return true;
}

int control(System& system, NativeHandle set, int operation, NativeHandle handle) noexcept {
  epoll_event nothing{};
  ++system.calls();
  return ::epoll_ctl(set, operation, handle, &nothing) == 0 ? 0 : errno;
}

}  // namespace

Device System::device_of(NativeHandle handle, std::uint64_t device, unsigned mode) noexcept {
  static std::atomic<std::uint64_t> sockets{0};
  static std::atomic<std::uint64_t> pipes{0};
  if (S_ISSOCK(mode) && is_on(*this, sockets, device, handle, SOCKFS_MAGIC)) return Device::sockets;
  if (S_ISFIFO(mode) && is_on(*this, pipes, device, handle, PIPEFS_MAGIC)) return Device::pipes;
  return Device::other;
}

int System::refusal_to_watch(NativeHandle handle, unsigned mode) noexcept {
  const NativeHandle set = open_file_set();
  // Short of descriptors: no reason to call the file unfit, unless its type tells.
  if (set == no_handle) return S_ISREG(mode) || S_ISDIR(mode) ? EPERM : 0;
  const int refused = add_to_file_set(set, handle);
  close_handle(set);
  return refused == EPERM || refused == EBADF ? refused : 0;
}

NativeHandle System::open_file_set() noexcept {
  ++calls_;
  return ::epoll_create1(EPOLL_CLOEXEC);
}

int System::add_to_file_set(NativeHandle set, NativeHandle handle) noexcept {
  const int error = control(*this, set, EPOLL_CTL_ADD, handle);
  return error == EEXIST ? 0 : error;
}

bool System::is_in_file_set(NativeHandle set, NativeHandle handle) noexcept {
  return control(*this, set, EPOLL_CTL_MOD, handle) == 0;
}

void System::remove_from_file_set(NativeHandle set, NativeHandle handle) noexcept {
  static_cast<void>(control(*this, set, EPOLL_CTL_DEL, handle));
}

}  // namespace pollux::detail::platform
