// SPDX-License-Identifier: MIT
// Pipes for what is spliced at the moment.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <pollux/system_calls.hpp>

#include "streams/write_piece.hpp"

namespace pollux::detail {

/// A few, since each takes two descriptors that others may need. Loop thread.
class PipePool {
 public:
  using Pipe = std::unique_ptr<PipePiece>;

  PipePool() noexcept = default;
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;
  ~PipePool() { clear(); }

  /// An empty one; null, when too many are out, or the system has none to give.
  Pipe take(SystemCalls& calls) noexcept;
  /// One that was taken. It is closed if bytes are in it.
  void give_back(Pipe pipe) noexcept;
  /// Closes those that are not out.
  void clear() noexcept;

 private:
  static constexpr std::size_t most_out = 64;
  static constexpr std::size_t most_kept = 2;

  WritePiece* unused_ = nullptr;
  std::size_t kept_ = 0;
  std::size_t out_ = 0;
};

}  // namespace pollux::detail
