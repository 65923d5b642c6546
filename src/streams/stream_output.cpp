// SPDX-License-Identifier: MIT
#include "streams/stream_output.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <pollux/backend_support.hpp>

namespace pollux::detail {

namespace {

/// Shorter writes are gathered, and sent together.
constexpr std::size_t short_write = 4096;
/// How much is spliced at once: as much as one read takes.
constexpr std::size_t most_spliced = 64 * 1024;

std::error_code no_memory() noexcept {
  return system_error_code(std::errc::not_enough_memory);
}

}  // namespace

void StreamOutput::fail(int error, BufferPool& blocks) noexcept {
  failure_ = error;
  blocked_ = false;
  queue_.clear(blocks);
}

bool StreamOutput::write(std::size_t size, std::span<const Bytes> pieces, StreamHandle& handle,
                         std::error_code& error) noexcept {
  BufferPool& blocks = handle.service().write_blocks();
  if (size < short_write) {
    if (!queue_.append_together(size, pieces, blocks)) error = no_memory();
    return false;
  }
  WriteQueue::Room room{blocks};
  if (!queue_.reserve(size, room)) {
    error = no_memory();
    return false;
  }
  const std::size_t sent = queue_.empty() && !blocked_ ? send(pieces, handle) : 0;
  if (failure_ != 0) return false;
  std::size_t gone = sent;
  for (const Bytes piece : pieces) {
    const std::size_t first = std::min(gone, piece.size());
    gone -= first;
    if (first < piece.size()) queue_.append(piece.subspan(first), room);
  }
  return sent != 0;
}

bool StreamOutput::write(std::size_t size, std::string&& text, StreamHandle& handle,
                         std::error_code& error) noexcept {
  if (size < short_write) {
    const Bytes bytes = as_bytes(text);
    return write(size, {&bytes, 1}, handle, error);
  }
  if (!queue_.append(std::move(text))) {
    error = no_memory();
    return false;
  }
  return send(handle);
}

platform::Moved StreamOutput::move_by_pipe(const StreamHandle& from,
                                           StreamHandle& handle) noexcept {
  PipePool& pipes = handle.service().pipes();
  PipePool::Pipe pipe = pipes.take(handle.service().calls());
  if (!pipe) return {};
  const platform::Moved moved = from.splice_into(pipe->ends.writer.get(), most_spliced);
  pipe->bytes = moved.bytes;
  if (moved.bytes == 0) {
    pipes.give_back(std::move(pipe));
    return moved;
  }
  queue_.append(std::move(pipe));
  send(handle);
  return moved;
}

bool StreamOutput::send(StreamHandle& handle) noexcept {
  bool moved = false;
  while (can_send()) {
    std::size_t sent = 0;
    if (const PipePiece* const pipe = queue_.first_pipe()) {
      sent = send(*pipe, handle);
    } else if (queue_.is_one_piece()) {
      const Bytes piece = queue_.first();
      sent = send({&piece, 1}, handle);
    } else {
      std::array<Bytes, platform::most_pieces> pieces;
      sent = send(std::span{pieces}.first(queue_.first(pieces)), handle);
    }
    if (sent == 0) break;
    queue_.remove(sent, handle.service().write_blocks());
    moved = true;
  }
  return moved;
}

std::size_t StreamOutput::send(std::span<const Bytes> pieces, StreamHandle& handle) noexcept {
  std::size_t size = 0;
  for (const Bytes piece : pieces.first(std::min(pieces.size(), platform::most_pieces)))
    size += piece.size();
  return note(handle.write(pieces), size, handle);
}

std::size_t StreamOutput::send(const PipePiece& pipe, StreamHandle& handle) noexcept {
  return note(handle.splice_from(pipe.ends.reader.get(), pipe.bytes), pipe.bytes, handle);
}

std::size_t StreamOutput::note(const platform::Moved& moved, std::size_t size,
                               StreamHandle& handle) noexcept {
  if (moved.error != 0) fail(moved.error, handle.service().write_blocks());
  blocked_ = moved.error == 0 && moved.bytes < size;
  return moved.bytes;
}

}  // namespace pollux::detail
