// SPDX-License-Identifier: MIT
// Slots that never move, found by index or by token.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <pollux/backend.hpp>

namespace pollux::detail {

/// No slot.
inline constexpr std::uint32_t no_slot = 0xFFFFFFFF;

/// Slots in chunks, so that a handler stays where it is while it runs, whatever it registers. `T`
/// has `next`, which is free to use while the slot is taken.
template <class T>
class SlotPool {
 public:
  /// By how many slots the pool grows.
  static constexpr std::uint32_t chunk_size = 256;

  /// A slot, until release(). May throw std::bad_alloc, and then has changed nothing; nothing else
  /// here throws.
  std::uint32_t acquire() {
    if (free_ == no_slot) grow();
    const std::uint32_t index = free_;
    free_ = std::exchange(slot(index).next, no_slot);
    return index;
  }

  /// Whether the next acquire() will need memory.
  bool is_full() const noexcept { return free_ == no_slot; }

  /// Makes the slot what a fresh one is, and free.
  void release(std::uint32_t index) noexcept { release(index, slot(index)); }
  void release(std::uint32_t index, T& freed) noexcept {
    std::destroy_at(&freed);
    std::construct_at(&freed);
    freed.next = std::exchange(free_, index);
  }

  T& slot(std::uint32_t index) noexcept { return chunks_[index >> shift][index & mask]; }
  const T& slot(std::uint32_t index) const noexcept {
    return chunks_[index >> shift][index & mask];
  }
  /// How many slots there are, free ones included.
  std::uint32_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint32_t shift = std::countr_zero(chunk_size);
  static constexpr std::uint32_t mask = chunk_size - 1;

  void grow() {
    chunks_.push_back(std::make_unique<T[]>(chunk_size));
    // Lowest index first: the pool stays dense.
    for (std::uint32_t i = chunk_size; i-- > 0;) {
      T& fresh = chunks_.back()[i];
      fresh.next = free_;
      free_ = size_ + i;
    }
    size_ += chunk_size;
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::uint32_t size_ = 0;
  std::uint32_t free_ = no_slot;
};

/// A pool whose slots are found by token. A slot that is given out again has another generation, so
/// that tokens of the old one lead nowhere. `T` has `generation` as well.
template <class T>
class SlotTable : public SlotPool<T> {
 public:
  /// A slot; its token names it until release(). As SlotPool::acquire().
  Token acquire() { return token(SlotPool<T>::acquire()); }

  /// Makes the slot what a fresh one is, of the next generation, and free.
  void release(std::uint32_t index) noexcept { release(index, this->slot(index)); }
  void release(std::uint32_t index, T& freed) noexcept {
    const std::uint32_t generation = freed.generation + 1;
    SlotPool<T>::release(index, freed);
    freed.generation = generation;
  }

  /// From now on `token` names nothing, though the slot is still in use: its handler is running.
  void disown(std::uint32_t index) noexcept { ++this->slot(index).generation; }

  /// The slot that `token` names, or null.
  T* find(Token token) noexcept {
    if (token.slot >= this->size()) return nullptr;
    T& found = this->slot(token.slot);
    return found.generation == token.generation ? &found : nullptr;
  }
  const T* find(Token token) const noexcept {
    if (token.slot >= this->size()) return nullptr;
    const T& found = this->slot(token.slot);
    return found.generation == token.generation ? &found : nullptr;
  }
  Token token(std::uint32_t index) const noexcept { return {index, this->slot(index).generation}; }
};

/// The slot whose handler is running, if any.
struct CalledSlot {
  std::uint32_t index = no_slot;
  bool ended = false;  ///< it has ended meanwhile, and is to be released
};

/// While a slot's handler runs: the slot may end, but lives until the handler has returned.
template <class Table>
class WhileCalled {
 public:
  WhileCalled(Table& table, CalledSlot& called, std::uint32_t index)
      : table_{table}, called_{called}, index_{index} {
    called_.index = index;
  }
  WhileCalled(const WhileCalled&) = delete;
  WhileCalled& operator=(const WhileCalled&) = delete;
  ~WhileCalled() {
    called_.index = no_slot;
    if (std::exchange(called_.ended, false)) table_.release(index_);
  }

 private:
  Table& table_;
  CalledSlot& called_;
  std::uint32_t index_;
};

}  // namespace pollux::detail
