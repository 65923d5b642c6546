// SPDX-License-Identifier: MIT
// AFD's poll, the device call of Windows behind select() and WSAPoll(), which no header of Windows
// declares. On Windows alone; applications have no need of it.
#pragma once

#include <cstdint>
#include <system_error>

#include <winsock2.h>
// In this order.
#include <windows.h>
#include <winternl.h>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

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
  IO_STATUS_BLOCK status{};  ///< first: see begin_poll()
  PollInfo info{};

  /// Whether nothing has happened yet. The kernel changes that at once; the completion comes later.
  bool is_pending() const noexcept;
};

/// A reset and a failed connect are reported whatever is asked for; and a close ends the poll.
inline constexpr ULONG always = abort | connect_fail | local_close;

inline ULONG to_native(RawInterest interest) {
  ULONG events = always;
  if (any(interest, RawInterest::in)) events |= receive | accept | disconnect;
  if (any(interest, RawInterest::rdhup)) events |= disconnect;
  if (any(interest, RawInterest::out)) events |= send;
  if (any(interest, RawInterest::pri)) events |= receive_expedited;
  return events;
}

/// `asked`: a poll that is pending may have been made for more.
inline RawReady to_raw(ULONG events, RawInterest asked) {
  const bool reads = any(asked, RawInterest::in);
  RawReady ready = RawReady::none;
  if ((events & (receive | accept)) != 0 && reads) ready |= RawReady::in;
  if ((events & disconnect) != 0) {
    // A read does not block; and FIN is reported whoever asks for bytes.
    if (reads) ready |= RawReady::in;
    if (reads || any(asked, RawInterest::rdhup)) ready |= RawReady::rdhup;
  }
  if ((events & send) != 0 && any(asked, RawInterest::out)) ready |= RawReady::out;
  if ((events & receive_expedited) != 0 && any(asked, RawInterest::pri)) ready |= RawReady::pri;
  if ((events & (abort | connect_fail)) != 0) {
    ready |= RawReady::err | RawReady::hup;
    if (reads) ready |= RawReady::in;  // a read fails at once
  }
  return ready;
}

/// The number of the failure that was reported, or 0.
inline int error_of(const PolledHandle& polled) {
  if ((polled.events & abort) != 0) return WSAECONNRESET;
  if ((polled.events & connect_fail) == 0) return 0;
  return static_cast<int>(::RtlNtStatusToDosError(polled.status));
}

/// A handle of the device, through which polls of any socket may be made, for CloseHandle(); null
/// and an error if there is none to be had. Starts Winsock.
POLLUX_EXPORT HANDLE open_device(std::error_code& error) noexcept;
/// Begins a poll. Unless this answers an error the completion comes, to the port that the device is
/// at, whatever becomes of the poll: with `overlapped`, whose beginning is the kernel's status
/// block.
POLLUX_EXPORT std::error_code begin_poll(HANDLE device, PollInfo& info, void* overlapped,
                                         SOCKET base_socket, ULONG events) noexcept;

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
POLLUX_EXPORT SOCKET base_socket(NativeHandle handle, SystemCalls& calls,
                                 std::error_code& error) noexcept;

}  // namespace pollux::detail::afd
