// SPDX-License-Identifier: MIT
// Memory of one's own for what is asked of Asio again and again. For pollux/asio.hpp and
// pollux/embed/asio.hpp; applications have no need of it.
#pragma once

#include <cstddef>
#include <new>

namespace pollux::detail {

/// Memory for one operation of Asio's, so that waiting again and again allocates nothing, and can
/// do without what there may not be.
template <std::size_t room>
class AsioMemory {
 public:
  AsioMemory() = default;
  AsioMemory(const AsioMemory&) = delete;
  AsioMemory& operator=(const AsioMemory&) = delete;

  bool is_free() const noexcept { return !used_; }
  void* allocate(std::size_t size) {
    if (used_ || size > sizeof(bytes_)) return ::operator new(size);
    used_ = true;
    return bytes_;
  }
  void deallocate(void* memory) noexcept {
    if (memory == bytes_) {
      used_ = false;
    } else {
      ::operator delete(memory);
    }
  }

 private:
  alignas(std::max_align_t) std::byte bytes_[room];
  bool used_ = false;
};

/// What Asio asks for memory by.
template <class T, class Memory>
struct AsioAllocator {
  using value_type = T;

  explicit AsioAllocator(Memory& from) noexcept : memory{&from} {}
  template <class U>
  AsioAllocator(const AsioAllocator<U, Memory>& other) noexcept : memory{other.memory} {}  // NOLINT

  T* allocate(std::size_t count) { return static_cast<T*>(memory->allocate(count * sizeof(T))); }
  void deallocate(T* allocated, std::size_t) noexcept { memory->deallocate(allocated); }
  friend bool operator==(const AsioAllocator&, const AsioAllocator&) = default;

  Memory* memory;
};

}  // namespace pollux::detail
