// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

/// A backend on select(2), for pollux::Reactor{make_select_backend(error)}. Handles from FD_SETSIZE
/// on (1024, mostly) are refused with `value_too_large`. Null and an error if the process is out of
/// descriptors.
std::unique_ptr<pollux::Backend> make_select_backend(std::error_code& error);
