// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on Linux io_uring (6.1 or later). Null and an error if the kernel is older
/// (`invalid_argument`), has no io_uring (`function_not_supported`) or does not let this process
/// use it (`operation_not_permitted`), or if the process is out of descriptors or memory.
std::unique_ptr<Backend> make_io_uring_backend(std::error_code& error);

}  // namespace pollux
