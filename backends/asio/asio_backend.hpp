// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on standalone Asio, with an io_context of its own. Null and an error if the process is
/// out of descriptors.
std::unique_ptr<Backend> make_asio_backend(std::error_code& error);

}  // namespace pollux
