// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <poll.h>

#include <pollux/backend.hpp>

namespace pollux {

namespace detail::poll {

/// poll(2), or ppoll(2) and nanoseconds where there is one.
int poll_natively(pollfd* polled, nfds_t count, Timeout timeout) noexcept;

/// Whether this system's reports POLLHUP and POLLERR also where nothing is asked for, and wakes up
/// for them.
extern const bool reports_failures_natively;

/// A system's poll(2). A seam: the tests bring ones that answer as other systems do.
struct PollSystem {
  int (*poll)(pollfd* polled, nfds_t count, Timeout timeout) = &poll_natively;
  bool reports_failures = reports_failures_natively;
};

}  // namespace detail::poll

/// A backend on poll(2). Null and an error if the process is out of descriptors for its wake
/// handle.
std::unique_ptr<Backend> make_poll_backend(std::error_code& error);
std::unique_ptr<Backend> make_poll_backend(const detail::poll::PollSystem& system,
                                           std::error_code& error);

}  // namespace pollux
