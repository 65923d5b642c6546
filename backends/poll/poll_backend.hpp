// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on poll(2). Null and an error if the process is out of descriptors for its
/// wake handle.
std::unique_ptr<Backend> make_poll_backend(std::error_code& error);

}  // namespace pollux
