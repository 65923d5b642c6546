// SPDX-License-Identifier: MIT
// Everything an application needs.
#pragma once

// IWYU pragma: begin_exports
#include <pollux/address.hpp>
#include <pollux/backends.hpp>
#include <pollux/connector.hpp>
#include <pollux/datagram.hpp>
#include <pollux/error.hpp>
#include <pollux/events.hpp>
#include <pollux/listener.hpp>
#include <pollux/poster.hpp>
#include <pollux/process.hpp>
#include <pollux/reactor.hpp>
#include <pollux/relay.hpp>
#include <pollux/resolver.hpp>
#include <pollux/signal.hpp>
#include <pollux/stats.hpp>
#include <pollux/stream.hpp>
#include <pollux/text_tracer.hpp>
#include <pollux/timer.hpp>
#include <pollux/unique_handle.hpp>
#include <pollux/version.hpp>
#include <pollux/watch.hpp>
// IWYU pragma: end_exports
