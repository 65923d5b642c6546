// SPDX-License-Identifier: MIT
// The errors that are pollux's own, and the category of those that are the system's.
#pragma once

#include <system_error>

#include <pollux/export.hpp>

namespace pollux {

/// Errors of the library itself. Each compares equal to the std::errc given beside it.
enum class Errc {
  unknown_backend = 1,  ///< no backend of that name is compiled in (std::errc::invalid_argument)
  no_usable_backend,    ///< none of the compiled-in backends runs here (function_not_supported)
  not_a_stream,         ///< watch_stream() on a listener, a datagram socket, an eventfd or
                        ///< the like (invalid_argument)
  reactor_closed,       ///< the reactor is gone, or could not be made (operation_canceled)
  already_running,    ///< run, run_once, run_for or poll called from inside one of its own handlers
                      ///< (resource_deadlock_would_occur)
  watch_closed,       ///< the watch is empty, or its descriptor was closed under it
                      ///< (bad_file_descriptor)
  timer_closed,       ///< the timer is empty (invalid_argument)
  forked,             ///< in the child of a fork, before Reactor::after_fork()
                      ///< (operation_not_permitted)
  trace_unavailable,  ///< the file that $POLLUX_TRACE names cannot be opened (io_error)
  stream_closed,      ///< the stream is empty, or has ended, or is being closed (not_connected)
  host_not_found,     ///< no host of that name is known, or it has no address
                      ///< (no_such_device_or_address)
};

/// The category of Errc, named "pollux". Any thread.
POLLUX_EXPORT const std::error_category& error_category() noexcept;

/// The category of the system's numbers, in which refusals by the kernel and the errors of
/// connections come. Its codes compare equal to the std::errc that they mean. On POSIX systems it
/// is std::system_category(), of errno. On Windows it is pollux's own, named "pollux.windows", of
/// what WSAGetLastError() and GetLastError() return: not every standard library knows there what
/// those mean. Any thread.
POLLUX_EXPORT const std::error_category& native_category() noexcept;

/// Makes Errc a std::error_code.
inline std::error_code make_error_code(Errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

}  // namespace pollux

template <>
struct std::is_error_code_enum<pollux::Errc> : std::true_type {};
