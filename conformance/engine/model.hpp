// SPDX-License-Identifier: MIT
// The independent witness: what docs/contract.md promises for a history. It knows only the
// operations and what TCP, AF_UNIX and pipes are, never a flag of a kernel; it shares no code with
// the library.
#pragma once

#include "conformance/engine/history.hpp"
#include "conformance/engine/trace.hpp"

namespace pollux::differential {

/// Whether `peer_closed` behind unread bytes comes at once, or when they have been read (rule 15).
enum class EarlyNotice { immediate, after_drain };

/// The trace that every backend has to give.
Trace predict(const History& history, EarlyNotice notice);

}  // namespace pollux::differential
