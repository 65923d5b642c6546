// SPDX-License-Identifier: MIT
// What the environment of the process asks of a reactor.
#pragma once

#include <cstdio>

namespace pollux::detail::platform {

/// The value of an environment variable that has the library open a file; null if it is not set.
/// Null also in a program that has more rights than whoever started it (set-user-ID): that one must
/// not choose its files.
const char* trusted_variable(const char* name) noexcept;

/// Opens a file that lines are appended to, each of which is written when it ends. A program that
/// is executed does not get it. Null if that cannot be done.
std::FILE* open_for_lines(const char* path) noexcept;

}  // namespace pollux::detail::platform
