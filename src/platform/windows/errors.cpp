// SPDX-License-Identifier: MIT
// Errors as Windows has them. Winsock's numbers and those of the rest do not overlap, and are one
// category. Standard libraries differ in which they know: libstdc++ of mingw-w64 knows none of
// Winsock's.
#include <array>
#include <string>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux {

namespace {

/// Windows leaves numbers with this bit to applications (SetLastError): a std::errc that no number
/// of its own stands for. Without the bit it would be taken for one of those.
constexpr int of_errc = 1 << 29;

struct Meaning {
  int number;
  std::errc condition;
};

/// The first of a condition is what system_error_code() makes of it.
constexpr std::array meanings{
    Meaning{WSAEACCES, std::errc::permission_denied},
    Meaning{WSAEADDRINUSE, std::errc::address_in_use},
    Meaning{WSAEADDRNOTAVAIL, std::errc::address_not_available},
    Meaning{WSAEAFNOSUPPORT, std::errc::address_family_not_supported},
    Meaning{WSAEALREADY, std::errc::connection_already_in_progress},
    Meaning{WSAEBADF, std::errc::bad_file_descriptor},
    Meaning{WSAECONNABORTED, std::errc::connection_aborted},
    Meaning{WSAECONNREFUSED, std::errc::connection_refused},
    Meaning{WSAECONNRESET, std::errc::connection_reset},
    Meaning{WSAEDESTADDRREQ, std::errc::destination_address_required},
    Meaning{WSAEFAULT, std::errc::bad_address},
    Meaning{WSAEHOSTUNREACH, std::errc::host_unreachable},
    Meaning{WSAEINPROGRESS, std::errc::operation_in_progress},
    Meaning{WSAEINTR, std::errc::interrupted},
    Meaning{WSAEINVAL, std::errc::invalid_argument},
    Meaning{WSAEISCONN, std::errc::already_connected},
    Meaning{WSAEMFILE, std::errc::too_many_files_open},
    Meaning{WSAEMSGSIZE, std::errc::message_size},
    Meaning{WSAENETDOWN, std::errc::network_down},
    Meaning{WSAENETRESET, std::errc::network_reset},
    Meaning{WSAENETUNREACH, std::errc::network_unreachable},
    Meaning{WSAENOBUFS, std::errc::no_buffer_space},
    Meaning{WSAENOPROTOOPT, std::errc::no_protocol_option},
    Meaning{WSAENOTCONN, std::errc::not_connected},
    Meaning{WSAENOTSOCK, std::errc::not_a_socket},
    Meaning{WSAEOPNOTSUPP, std::errc::operation_not_supported},
    Meaning{WSAEPROTONOSUPPORT, std::errc::protocol_not_supported},
    Meaning{WSAEPROTOTYPE, std::errc::wrong_protocol_type},
    Meaning{WSAESHUTDOWN, std::errc::broken_pipe},  // a write behind an own shutdown
    Meaning{WSAETIMEDOUT, std::errc::timed_out},
    Meaning{WSAEWOULDBLOCK, std::errc::operation_would_block},
    Meaning{ERROR_ACCESS_DENIED, std::errc::permission_denied},
    Meaning{ERROR_ALREADY_EXISTS, std::errc::file_exists},
    Meaning{ERROR_BROKEN_PIPE, std::errc::broken_pipe},
    Meaning{ERROR_CALL_NOT_IMPLEMENTED, std::errc::function_not_supported},
    Meaning{ERROR_CONNECTION_ABORTED, std::errc::connection_aborted},
    Meaning{ERROR_CONNECTION_REFUSED, std::errc::connection_refused},
    Meaning{ERROR_FILE_EXISTS, std::errc::file_exists},
    Meaning{ERROR_FILE_NOT_FOUND, std::errc::no_such_file_or_directory},
    Meaning{ERROR_HOST_UNREACHABLE, std::errc::host_unreachable},
    Meaning{ERROR_INVALID_HANDLE, std::errc::bad_file_descriptor},
    Meaning{ERROR_INVALID_PARAMETER, std::errc::invalid_argument},
    Meaning{ERROR_NETNAME_DELETED, std::errc::connection_reset},
    Meaning{ERROR_NETWORK_UNREACHABLE, std::errc::network_unreachable},
    Meaning{ERROR_NOT_ENOUGH_MEMORY, std::errc::not_enough_memory},
    Meaning{ERROR_NOT_ENOUGH_QUOTA, std::errc::not_enough_memory},
    Meaning{ERROR_NOT_FOUND, std::errc::no_such_file_or_directory},
    Meaning{ERROR_NOT_SUPPORTED, std::errc::not_supported},
    Meaning{ERROR_NO_DATA, std::errc::broken_pipe},
    Meaning{ERROR_NO_SYSTEM_RESOURCES, std::errc::not_enough_memory},
    Meaning{ERROR_OPERATION_ABORTED, std::errc::operation_canceled},
    Meaning{ERROR_OUTOFMEMORY, std::errc::not_enough_memory},
    Meaning{ERROR_PATH_NOT_FOUND, std::errc::no_such_file_or_directory},
    Meaning{ERROR_PORT_UNREACHABLE, std::errc::connection_refused},
    Meaning{ERROR_SEM_TIMEOUT, std::errc::timed_out},
    Meaning{ERROR_TOO_MANY_OPEN_FILES, std::errc::too_many_files_open},
    Meaning{ERROR_WAIT_NO_CHILDREN, std::errc::no_child_process},
};

class WindowsCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "pollux.windows"; }

  std::string message(int number) const override {
    if ((number & of_errc) != 0) return std::generic_category().message(number & ~of_errc);
    char text[512];
    const DWORD in_english = MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US);
    const auto format = [&](DWORD language) {
      return ::FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr,
                              static_cast<DWORD>(number), language, text, sizeof text, nullptr);
    };
    DWORD length = format(in_english);
    if (length == 0) length = format(0);  // not every Windows has it
    std::string message{text, length};
    // "Access is denied.\r\n" is no part of a line.
    message.erase(message.find_last_not_of("\r\n .") + 1);
    return message.empty() ? "error " + std::to_string(number) : message;
  }

  std::error_condition default_error_condition(int number) const noexcept override {
    if ((number & of_errc) != 0) return static_cast<std::errc>(number & ~of_errc);
    for (const Meaning& meaning : meanings) {
      if (meaning.number == number) return meaning.condition;
    }
    return {number, *this};
  }
};

}  // namespace

const std::error_category& native_category() noexcept {
  static const WindowsCategory category;
  return category;
}

std::error_code system_error_code(std::errc why) noexcept {
  for (const Meaning& meaning : meanings) {
    if (meaning.condition == why) return {meaning.number, native_category()};
  }
  return {of_errc | static_cast<int>(why), native_category()};
}

namespace detail::platform {

bool is_about_the_handle(int error) noexcept {
  return error == WSAENOTSOCK || error == WSAEBADF || error == ERROR_INVALID_HANDLE;
}

bool is_probes_own(int error) noexcept {
  switch (error) {
    case WSAEMFILE:
    case WSAENOBUFS:
    case WSAEFAULT:
    case WSAEACCES:
    case WSAENETDOWN:
    case WSANOTINITIALISED:
    case WSA_NOT_ENOUGH_MEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
      return true;
    default:
      return is_about_the_handle(error);
  }
}

}  // namespace detail::platform

}  // namespace pollux
