// SPDX-License-Identifier: MIT
// poll() as other systems answer it, on Linux: what they report for the state that a descriptor is
// in (docs/kernel-facts.md). What their sockets do differently below poll() is not played.
#pragma once

#include <vector>

#include "conformance/engine/explorer.hpp"

namespace pollux::differential {

/// The poll backend on each of these, by name:
/// - `macos`: HUP on a half-close, of either side; never ERR; OUT hidden beside HUP; nothing at all
///   where nothing is asked for.
/// - `freebsd`: never ERR; HUP without being asked for only if nobody sleeps.
/// - `wsapoll`: HUP for a FIN, without IN when nothing is unread; no IN after a reset.
/// - `spurious`: Linux, but waking up for nothing, or for what is gone by the time it is looked at.
std::vector<Contestant> foreign_contestants();

}  // namespace pollux::differential
