// SPDX-License-Identifier: MIT
// Who may be watched, on POSIX systems without a file of their own: by the file's type.
#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux::detail::platform {

Device System::device_of(NativeHandle, std::uint64_t, unsigned mode) noexcept {
  if (S_ISSOCK(mode)) return Device::sockets;
  return S_ISFIFO(mode) ? Device::pipes : Device::other;
}

int System::refusal_to_watch(NativeHandle handle, unsigned mode) noexcept {
  if (S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode)) return EPERM;
  if (!S_ISCHR(mode)) return 0;
  ++calls_;
  if (::isatty(handle) != 0) return 0;
  // A terminal whose other side is gone does not answer as one any more (Linux: EIO), but goes on
  // to be hung up; which nothing that is always ready ever is.
  const RawReady seen = poll_once(handle, RawInterest::in, calls_);
  return any(seen, RawReady::hup) ? 0 : EPERM;
}

NativeHandle System::open_file_set() noexcept {
  errno = ENOSYS;
  return no_handle;
}

int System::add_to_file_set(NativeHandle, NativeHandle) noexcept {
  return ENOSYS;
}

bool System::is_in_file_set(NativeHandle, NativeHandle) noexcept {
  return false;
}

void System::remove_from_file_set(NativeHandle, NativeHandle) noexcept {}

}  // namespace pollux::detail::platform
