// SPDX-License-Identifier: MIT
// What a reactor watches besides descriptors: signals and children.
#pragma once

#include <cstdint>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/detail/any_handler.hpp>

#include "base/slot_table.hpp"
#include "io/registrations.hpp"

namespace pollux::detail {

/// One signal that is watched, or one child. `generation` and `next` as SlotTable wants them.
struct ProcessWatch {
  enum class Kind : std::uint8_t { detached, signal, child };

  AnyHandler handler;
  InternalWatch watch;              ///< of `handle`
  NativeHandle handle = no_handle;  ///< a child's, if there is one
  int number = 0;                   ///< of the signal, or of the child
  std::uint32_t generation = 0;
  std::uint32_t next = no_slot;
  Kind kind = Kind::detached;
  bool by_signal = false;  ///< of a child: the signal of children is watched, and not `handle`
  bool due = false;        ///< the signal was raised; the child is to be checked
  bool now = false;        ///< in the turn that has begun, and not only in the next
};

class ProcessWatchTable : public SlotTable<ProcessWatch> {
 public:
  /// Whether any is due.
  bool any_due() const noexcept { return due_ != 0; }
  void set_due(std::uint32_t index, bool due) noexcept {
    if (std::exchange(slot(index).due, due) != due) due_ += due ? 1u : ~0u;
  }

  /// What is due is for this turn; what comes to be due from here on is for the next.
  void begin_turn() noexcept {
    for (std::uint32_t i = 0; i < size(); ++i) slot(i).now = slot(i).due;
  }

  /// Forgets one that is detached. Its handler is destroyed last, when the slot is free already.
  void release(std::uint32_t index) noexcept {
    const AnyHandler handler = std::move(slot(index).handler);
    SlotTable::release(index);
  }

 private:
  std::uint32_t due_ = 0;
};

}  // namespace pollux::detail
