// SPDX-License-Identifier: MIT
// Copies of a process, for tests.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <csignal>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/child_process.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/system.hpp"

namespace pollux::support {

/// fork(), and what runs no fork handlers. That is left out, and the test says so, under an
/// emulator that does not wipe memory for a child.
inline const std::vector<Forking>& ways_to_fork() {
  static const std::vector<Forking> with_handlers = {{"fork", [] { return ::fork(); }}};
  static const bool are_all = emulator().empty() || wipes_memory_for_children();
  if (!are_all) {
    testing::Test::RecordProperty("not_played",
                                  "children made without fork handlers: this "
                                  "emulator has no MADV_WIPEONFORK that wipes");
    return with_handlers;
  }
  static const std::vector<Forking> ways = [] {
    std::vector<Forking> all = with_handlers;
    for (const Forking& way : forks_without_handlers()) all.push_back(way);
    return all;
  }();
  return ways;
}

/// in_a_child(), in one child after the other, each made in another way. What `child` leaves
/// outside its process the next one finds.
inline testing::AssertionResult in_each_child(const std::function<bool()>& child) {
  for (const Forking& way : ways_to_fork()) {
    if (!in_a_child(child, way.fork)) return testing::AssertionFailure() << "by " << way.name;
  }
  return testing::AssertionSuccess();
}

}  // namespace pollux::support
