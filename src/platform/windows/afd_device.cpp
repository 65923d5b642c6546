// SPDX-License-Identifier: MIT
#include <pollux/backend_support.hpp>
#include <pollux/detail/afd_poll.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux::detail::afd {

namespace {

// Of the device interface; winternl.h and the SDK leave them out.
constexpr ULONG poll_request = 0x12024;  // IOCTL_AFD_POLL
constexpr ULONG file_open = 1;           // FILE_OPEN
constexpr NTSTATUS status_success = 0;
constexpr NTSTATUS status_pending = 0x103;
constexpr DWORD bsp_handle_poll = 0x4800001D;  // SIO_BSP_HANDLE_POLL
constexpr DWORD base_handle = 0x48000022;      // SIO_BASE_HANDLE

std::error_code error_of(NTSTATUS status) noexcept {
  return {static_cast<int>(::RtlNtStatusToDosError(status)), native_category()};
}

OVERLAPPED* overlapped_of(Poll& poll) noexcept {
  return reinterpret_cast<OVERLAPPED*>(&poll.status);  // begins with a status block
}

/// What an ioctl answers with a socket; INVALID_SOCKET and the number of the error.
SOCKET ask_for_socket(SOCKET socket, DWORD request, int& error) noexcept {
  SOCKET answer = INVALID_SOCKET;
  DWORD size = 0;
  const int result =
      ::WSAIoctl(socket, request, nullptr, 0, &answer, sizeof answer, &size, nullptr, nullptr);
  if (result == 0) return answer;
  error = ::WSAGetLastError();
  return INVALID_SOCKET;
}

/// Why a handle is no socket.
std::error_code why_no_socket(NativeHandle handle) noexcept {
  DWORD flags = 0;
  const bool is_open = handle != no_handle && handle != 0 &&
                       ::GetHandleInformation(reinterpret_cast<HANDLE>(handle), &flags) != 0;
  return system_error_code(is_open ? std::errc::operation_not_permitted
                                   : std::errc::bad_file_descriptor);
}

}  // namespace

bool Poll::is_pending() const noexcept {
  // The kernel writes to it.
  return const_cast<const volatile NTSTATUS&>(status.Status) == status_pending;
}

Device::~Device() {
  if (handle_ == nullptr) return;
  ++calls_;
  ::CloseHandle(handle_);
}

std::error_code Device::open(HANDLE port, std::uintptr_t key) noexcept {
  platform::start_sockets();
  static constexpr wchar_t path[] = L"\\Device\\Afd\\Pollux";  // what follows Afd means nothing
  UNICODE_STRING name;
  name.Buffer = const_cast<wchar_t*>(path);
  name.Length = sizeof path - sizeof(wchar_t);
  name.MaximumLength = sizeof path;
  OBJECT_ATTRIBUTES attributes{};
  attributes.Length = sizeof attributes;
  attributes.ObjectName = &name;
  IO_STATUS_BLOCK status{};
  HANDLE handle = nullptr;
  calls_ += 3;
  const NTSTATUS opened =
      ::NtCreateFile(&handle, SYNCHRONIZE, &attributes, &status, nullptr, 0,
                     FILE_SHARE_READ | FILE_SHARE_WRITE, file_open, 0, nullptr, 0);
  if (opened != status_success) return error_of(opened);
  if (::CreateIoCompletionPort(handle, port, key, 0) == nullptr) {
    const auto error = static_cast<int>(::GetLastError());
    ::CloseHandle(handle);
    return {error, native_category()};
  }
  // Saves the kernel a step where it can be had.
  ::SetFileCompletionNotificationModes(handle, FILE_SKIP_SET_EVENT_ON_HANDLE);
  handle_ = handle;
  return {};
}

std::error_code Device::begin(Poll& poll, SOCKET base_socket, ULONG events) noexcept {
  poll.status = {};
  poll.status.Status = status_pending;
  poll.info = {};
  poll.info.timeout.QuadPart = INT64_MAX;
  poll.info.handle_count = 1;
  poll.info.polled = {reinterpret_cast<HANDLE>(base_socket), events, 0};
  ++calls_;
  const NTSTATUS begun =
      ::NtDeviceIoControlFile(handle_, nullptr, nullptr, &poll, &poll.status, poll_request,
                              &poll.info, sizeof poll.info, &poll.info, sizeof poll.info);
  return begun == status_pending || begun == status_success ? std::error_code{} : error_of(begun);
}

void Device::cancel(Poll& poll) noexcept {
  ++calls_;
  ::CancelIoEx(handle_, overlapped_of(poll));  // fails if it is complete already
}

SOCKET base_socket(NativeHandle handle, SystemCalls& calls, std::error_code& error) noexcept {
  platform::start_sockets();
  error.clear();
  int value = 0;
  // First: Wine has a base handle for whatever it is asked about.
  int refused = platform::socket_option(handle, SO_TYPE, value, calls);
  if (refused != 0) {
    error = platform::is_about_the_handle(refused) ? why_no_socket(handle)
                                                   : std::error_code{refused, native_category()};
    return INVALID_SOCKET;
  }
  // A layered provider may answer for itself, or keep the question from those below. Then it must
  // at least name the socket that select() would be given.
  for (auto socket = static_cast<SOCKET>(handle);;) {
    ++calls;
    const SOCKET base = ask_for_socket(socket, base_handle, refused);
    if (base != INVALID_SOCKET) return base;
    ++calls;
    const SOCKET below = ask_for_socket(socket, bsp_handle_poll, refused);
    if (below == INVALID_SOCKET || below == socket) break;
    socket = below;
  }
  error = {refused, native_category()};
  return INVALID_SOCKET;
}

}  // namespace pollux::detail::afd
