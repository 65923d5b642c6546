// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on Linux epoll (2.6.27 or later). Null and an error if the process is out of
/// descriptors or the user out of epoll instances.
std::unique_ptr<Backend> make_epoll_backend(std::error_code& error);

}  // namespace pollux
