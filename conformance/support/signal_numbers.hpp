// SPDX-License-Identifier: MIT
// How far the numbers of signals go on POSIX systems: one file a system implements it.
#pragma once

namespace pollux::support {

/// One that nobody sends: the last, where a system has signals of real time.
int last_signal() noexcept;
/// The first number behind those of all signals.
int behind_all_signals() noexcept;

}  // namespace pollux::support
