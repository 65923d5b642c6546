// SPDX-License-Identifier: MIT
// The version of this header; CMake reads it from here.
#pragma once

#include <pollux/export.hpp>

/// The version that a program is compiled against.
#define POLLUX_VERSION_MAJOR 0
#define POLLUX_VERSION_MINOR 1
#define POLLUX_VERSION_PATCH 0
#define POLLUX_VERSION_STRING "0.1.0"

/// An event loop, its watches, timers and backends.
namespace pollux {

/// The version of the library that is linked, for comparison with POLLUX_VERSION_STRING. Any
/// thread.
POLLUX_EXPORT const char* version() noexcept;

}  // namespace pollux
