// SPDX-License-Identifier: MIT
// What a shared pollux exports.
#pragma once

/// Marks what a shared library exports: all that the public headers declare and the library
/// defines. Where a system spells that in another way, as Windows does, the build defines this
/// macro; the CMake target and pkg-config pass that on to programs.
#if !defined(POLLUX_EXPORT)
#define POLLUX_EXPORT [[gnu::visibility("default")]]
#endif
