// SPDX-License-Identifier: MIT
// What a write queue is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "platform/splicing.hpp"

namespace pollux::detail {

/// In front of its bytes in a block of a pool; or a TextPiece or a PipePiece.
struct WritePiece {
  enum class Kind : std::uint8_t { block, text, pipe };

  explicit WritePiece(Kind what) noexcept : kind{what} {}

  WritePiece* next = nullptr;
  std::byte* begin = nullptr;
  std::byte* end = nullptr;
  std::byte* room = nullptr;  ///< the end of a block
  Kind kind;
};

/// Bytes of a string that was given.
struct TextPiece : WritePiece {
  explicit TextPiece(std::string&& given) noexcept
      : WritePiece{Kind::text}, text{std::move(given)} {
    begin = reinterpret_cast<std::byte*>(text.data());
    end = room = begin + text.size();  // none behind it
  }
  std::string text;
};

class PipePool;

/// Bytes that the kernel has, in a pipe.
struct PipePiece : WritePiece {
  PipePiece(PipePool& from, platform::PipeEnds&& given) noexcept
      : WritePiece{Kind::pipe}, pool{from}, ends{std::move(given)} {}
  PipePool& pool;
  platform::PipeEnds ends;
  std::size_t bytes = 0;
};

}  // namespace pollux::detail
