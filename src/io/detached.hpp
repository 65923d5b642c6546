// SPDX-License-Identifier: MIT
// Watches that live on outside the backend's set: which files they are, and what reports them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>

#include "base/loop_context.hpp"
#include "io/internal_watch.hpp"
#include "io/watch_table.hpp"
#include "platform/edge_set.hpp"

namespace pollux::detail {

class Detached {
 public:
  /// `registrations` watches the edge set, and outlives this.
  Detached(LoopContext& loop, WatchTable& table, Registrations& registrations) noexcept
      : loop_{loop},
        table_{table},
        registrations_{registrations},
        files_{loop.system_calls},
        edges_{loop.system_calls} {}

  /// So that add() needs no memory for watches up to this number.
  void make_room(std::uint32_t watches) { files_.make_room(watches); }
  /// Notes which file a watch's number stands for. Refuses what cannot be watched.
  std::error_code add(std::uint32_t index) noexcept;
  /// Forgets that.
  void remove(std::uint32_t index) noexcept;
  /// Whether the number of a watch outside the backend's set still stands for the same file. What
  /// could not be noted is taken to do so.
  bool is_still_ours(std::uint32_t index) noexcept;

  /// Has the edge set report a detached watch: a condition stays up, must not turn the loop, and
  /// the backend has no edges. False where there is no edge set to be had.
  bool put_into_edges(std::uint32_t index, RawInterest wanted);
  void remove_from_edges(Slot& slot) noexcept;
  /// Whether next_edge() may have something.
  bool edges_ready() const noexcept { return edges_ready_; }
  /// What the edge set has to report, one by one.
  std::optional<RawEvent> next_edge() noexcept;

  /// Forgets all: the loop is closed, or has been forked and the kernel's sets are the parent's.
  void reset() noexcept;

 private:
  bool open_edges();
  void drop_edges() noexcept;

  LoopContext& loop_;
  WatchTable& table_;
  Registrations& registrations_;
  HandleRegistry files_;  ///< by slot
  platform::EdgeSet edges_;
  InternalWatch edges_watch_;
  bool edges_refused_ = false;  ///< by the backend
  bool edges_ready_ = false;
};

}  // namespace pollux::detail
