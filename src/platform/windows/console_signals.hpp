// SPDX-License-Identifier: MIT
#pragma once

namespace pollux::detail::platform {

/// What a signal handler does: each reactor that watches the signal gets to know. Whether there is
/// one. Any thread.
bool raise_for_all(int signo) noexcept;

}  // namespace pollux::detail::platform
