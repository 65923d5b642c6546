// SPDX-License-Identifier: MIT
// The reading side of a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <pollux/stream.hpp>

namespace pollux::detail {

/// Who gets the bytes of a stream, and those that were delivered and not read. Holds no memory
/// while there are none.
class StreamInput {
 public:
  bool reads() const noexcept { return on_data && !paused; }

  bool has_kept() const noexcept { return kept_ != nullptr; }
  Bytes kept() const noexcept;
  /// At least so much room behind what is kept, which may move; none without memory.
  std::span<std::byte> make_room(std::size_t least) noexcept;
  /// So many bytes were read into it.
  void add(std::size_t bytes) noexcept { kept_->end += bytes; }
  /// `rest` is what is kept from now on: the last bytes of what was, or others. False without
  /// memory.
  bool keep(Bytes rest) noexcept;
  /// The first of what is kept, which counts as read. It stays where it is until forget_read().
  Bytes take(std::size_t most) noexcept;
  void forget_read() noexcept;
  void forget() noexcept { kept_.reset(); }

  AnyHandler on_data;
  std::uint32_t reads_made = 0;  ///< those that brought bytes
  bool paused = false;
  bool kept_due = false;  ///< what was kept is to be delivered again

 private:
  struct Kept {
    std::unique_ptr<std::byte[]> memory;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t room = 0;
    bool taken = false;            ///< somebody has bytes of it
    std::unique_ptr<Kept> before;  ///< somebody has bytes of that, too
  };

  std::unique_ptr<Kept> kept_;
};

}  // namespace pollux::detail
