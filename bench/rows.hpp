// SPDX-License-Identifier: MIT
// All rows of one loop.
#pragma once

#include "workloads/chain.hpp"
#include "workloads/changes.hpp"
#include "workloads/echo.hpp"
#include "workloads/ends.hpp"
#include "workloads/idle.hpp"
#include "workloads/ping_pong.hpp"
#include "workloads/posts.hpp"
#include "workloads/timers.hpp"

namespace pollux::bench {

/// `make(threads)` makes a loop, which need not be movable. `name` says what it is.
template <Loop L, class Make>
void register_rows(Suite& suite, const std::string& name, Make make) {
  register_ping_pong<L>(suite, name, make);
  register_chain<L>(suite, name, make);
  register_churn<L>(suite, name, make);
  register_toggles<L>(suite, name, make);
  register_ends<L>(suite, name, make);
  register_timers<L>(suite, name, make);
  register_posts<L>(suite, name, make);
  register_idle<L>(suite, name, make);
}

}  // namespace pollux::bench
