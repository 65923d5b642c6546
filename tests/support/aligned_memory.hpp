// SPDX-License-Identifier: MIT
// Memory for programs that replace operator new. Not every system has aligned_alloc().
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace pollux::support {

/// What is to be freed stands in front of what is given out. Null if there is none.
inline void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept {
  std::size_t room = size + alignment;
  void* const memory = std::malloc(sizeof(void*) + room);
  if (memory == nullptr) return nullptr;
  void* given = static_cast<void**>(memory) + 1;
  std::align(alignment, size, given, room);
  std::memcpy(static_cast<void**>(given) - 1, &memory, sizeof memory);
  return given;
}

/// `memory` may not be null.
inline void free_aligned(void* memory) noexcept {
  void* allocated = nullptr;
  std::memcpy(&allocated, static_cast<void**>(memory) - 1, sizeof allocated);
  std::free(allocated);
}

}  // namespace pollux::support
