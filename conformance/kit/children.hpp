// SPDX-License-Identifier: MIT
// What the tests of children share: a row for each backend and each way in which a system may come
// to know of a child's end.
#pragma once

#include <deque>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {

/// A row for a backend, and how it comes to know of a child: by its number; by its number where the
/// process may open no more descriptors, so that there is none of a child and SIGCHLD has to do; by
/// a handle that its owner has.
struct WayToWatch {
  enum class Kind { number, signal, handle };

  std::string_view backend;
  Kind kind = Kind::number;
};
inline void PrintTo(const WayToWatch& way, std::ostream* to) {
  *to << way.backend;
  if (way.kind == WayToWatch::Kind::signal) *to << "_by_signal";
  if (way.kind == WayToWatch::Kind::handle) *to << "_by_handle";
}
inline std::vector<WayToWatch> ways_to_watch() {
  std::vector<WayToWatch> all;
  for (const std::string_view name : backend_rows()) {
    all.push_back({name, WayToWatch::Kind::number});
    if (can_limit_descriptors()) all.push_back({name, WayToWatch::Kind::signal});
    if (system_facts().has_process_handles) all.push_back({name, WayToWatch::Kind::handle});
  }
  return all;
}

class WithChildren : public KitTest, public testing::WithParamInterface<WayToWatch> {
 protected:
  std::string_view backend() const override { return GetParam().backend; }

  /// A watch that keeps what it is told.
  ChildWatch watch(const ChildProcess& child) { return watch(reactor(), child); }
  ChildWatch watch(Reactor& on, const ChildProcess& child) {
    return watch(on, child, [this](const ChildExit& exit) { delivered.push_back(exit); });
  }
  ChildWatch watch(Reactor& on, const ChildProcess& child, Handler<ChildExit> handler) {
    if (GetParam().kind == WayToWatch::Kind::handle)
      return on.on_child_exit(child.handle(), std::move(handler));
    std::optional<DescriptorLimit> none;
    if (GetParam().kind == WayToWatch::Kind::signal) none.emplace(0);
    return on.on_child_exit(child.pid(), std::move(handler));
  }

  std::deque<ChildExit> delivered;
};

}  // namespace pollux::conformance
