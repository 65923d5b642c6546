// SPDX-License-Identifier: MIT
// The writing side of a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <pollux/stream.hpp>

#include "streams/stream_handle.hpp"
#include "streams/write_queue.hpp"

namespace pollux::detail {

/// What was written, and has not been taken by the kernel.
class StreamOutput {
 public:
  bool empty() const noexcept { return queue_.empty(); }
  std::size_t size() const noexcept { return queue_.size(); }
  /// Something waits, and the kernel may take it.
  bool can_send() const noexcept { return !queue_.empty() && !blocked_; }
  /// The kernel has taken no more.
  bool is_blocked() const noexcept { return blocked_; }
  void unblock() noexcept { blocked_ = false; }
  /// What the kernel has said to a read or a write, which shows an end only from then on; or 0.
  int failure() const noexcept { return failure_; }
  void fail(int error, BufferPool& blocks) noexcept;
  void clear(BufferPool& blocks) noexcept { queue_.clear(blocks); }

  /// All of `pieces`, `size` bytes, or nothing and an error, comes behind what waits. Whether bytes
  /// have moved.
  bool write(std::size_t size, std::span<const Bytes> pieces, StreamHandle& handle,
             std::error_code& error) noexcept;
  bool write(std::size_t size, std::string&& text, StreamHandle& handle,
             std::error_code& error) noexcept;
  /// Moves what `from` has by a pipe, which comes behind what waits. See platform::splice_in().
  platform::Moved move_by_pipe(const StreamHandle& from, StreamHandle& handle) noexcept;
  /// Sends what the kernel takes. Whether bytes have moved.
  bool send(StreamHandle& handle) noexcept;
  /// Whether so much was gathered that it is better sent now.
  bool is_much() const noexcept { return queue_.size() >= much_gathered; }

  /// Whether more than the high-water mark has been waiting since no more than the low one was.
  bool is_above(const StreamOptions& options) noexcept {
    above_ |= queue_.size() > options.write_high_water;
    return above_;
  }
  /// Whether that has just ended.
  bool has_drained(const StreamOptions& options) noexcept {
    return above_ && queue_.size() <= options.write_low_water && std::exchange(above_, false);
  }

 private:
  static constexpr std::size_t much_gathered = 64 * 1024;

  /// How many bytes of `pieces` the kernel has taken.
  std::size_t send(std::span<const Bytes> pieces, StreamHandle& handle) noexcept;
  std::size_t send(const PipePiece& pipe, StreamHandle& handle) noexcept;
  /// How many bytes a call has moved that was to move `size`.
  std::size_t note(const platform::Moved& moved, std::size_t size, StreamHandle& handle) noexcept;

  WriteQueue queue_;
  std::int32_t failure_ = 0;
  bool blocked_ = false;
  bool above_ = false;
};

}  // namespace pollux::detail
