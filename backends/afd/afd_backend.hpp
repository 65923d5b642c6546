// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on Windows' AFD, the device under its sockets (Windows 8 or later). Null and an error
/// if the process is out of handles.
std::unique_ptr<Backend> make_afd_backend(std::error_code& error);

}  // namespace pollux
