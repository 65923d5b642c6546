// SPDX-License-Identifier: MIT
// The tracer that $POLLUX_TRACE asks for.
#pragma once

#include <memory>
#include <system_error>

#include <pollux/stats.hpp>

namespace pollux::detail {

/// Null if $POLLUX_TRACE asks for none, and with Errc::trace_unavailable if its file cannot be
/// opened. `start` is the zero of its times. May throw std::bad_alloc.
std::unique_ptr<Tracer> tracer_from_environment(Tracer::time_point start, std::error_code& error);

}  // namespace pollux::detail
