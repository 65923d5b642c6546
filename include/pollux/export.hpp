// SPDX-License-Identifier: MIT
// What a shared pollux exports.
#pragma once

/// Marks what a shared library exports: all that the public headers declare and the library
/// defines. A program that links a shared pollux on Windows may define POLLUX_SHARED (the CMake
/// target does) and saves a jump a call; without it, and for a static library, nothing needs to be
/// defined.
#if !defined(_WIN32)
#define POLLUX_EXPORT [[gnu::visibility("default")]]
#elif !defined(POLLUX_SHARED)
#define POLLUX_EXPORT
#elif defined(pollux_EXPORTS)  // CMake defines it where the library itself is compiled
#define POLLUX_EXPORT __declspec(dllexport)
#else
#define POLLUX_EXPORT __declspec(dllimport)
#endif
