// SPDX-License-Identifier: MIT
// The kqueue behind tests/support/bsd/sys/event.h, as the tests steer it.
#pragma once

#include <sys/event.h>

namespace pollux::bsd {

/// The next change of such a filter, with one of these flags, fails with `error`, and changes
/// nothing. Before kevent() is called by another thread.
void fail_next(short filter, unsigned flags, int error);

}  // namespace pollux::bsd
