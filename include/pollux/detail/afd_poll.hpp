// SPDX-License-Identifier: MIT
// AFD's poll, the device call of Windows behind select() and WSAPoll(), which no header of Windows
// declares. Not installed: for the library's own sources, on Windows alone.
#pragma once

#include <cstdint>
#include <system_error>

#include <winsock2.h>
// In this order.
#include <windows.h>
#include <winternl.h>

#include <pollux/backend.hpp>

namespace pollux::detail::afd {

/// What a poll asks for, and what it answers.
enum Events : ULONG {
  receive = 0x1,
  receive_expedited = 0x2,  ///< urgent data
  send = 0x4,
  disconnect = 0x8,  ///< the peer's FIN
  abort = 0x10,      ///< a reset
  local_close = 0x20,
  accept = 0x80,
  connect_fail = 0x100,
};

struct PolledHandle {
  HANDLE handle;
  ULONG events;
  NTSTATUS status;
};

/// What the device reads and writes, for one handle.
struct PollInfo {
  LARGE_INTEGER timeout;
  ULONG handle_count;
  ULONG is_exclusive;
  PolledHandle polled;
};

/// One poll, from when it begins until the port has delivered its completion: as long the kernel
/// writes to it.
struct Poll {
  IO_STATUS_BLOCK status{};
  PollInfo info{};

  /// Whether nothing has happened yet. The kernel changes that at once; the completion comes later.
  bool is_pending() const noexcept;
};

/// A handle of the device, through which polls of any socket may be made, and the completion port
/// that it delivers to. Loop thread.
class Device {
 public:
  explicit Device(SystemCalls& calls) noexcept : calls_{calls} {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  /// No poll may be pending.
  ~Device();

  /// `key` is the port's for its completions. Starts Winsock.
  std::error_code open(HANDLE port, std::uintptr_t key) noexcept;
  bool is_open() const noexcept { return handle_ != nullptr; }
  /// Begins it: its completion comes, whatever becomes of it, unless this answers an error.
  std::error_code begin(Poll& poll, SOCKET base_socket, ULONG events) noexcept;
  /// Its completion comes soon.
  void cancel(Poll& poll) noexcept;

 private:
  SystemCalls& calls_;
  HANDLE handle_ = nullptr;
};

/// The socket that the device knows, under what is layered above it; INVALID_SOCKET and an error if
/// it is none: `operation_not_permitted` of what is open all the same.
SOCKET base_socket(NativeHandle handle, SystemCalls& calls, std::error_code& error) noexcept;

}  // namespace pollux::detail::afd
