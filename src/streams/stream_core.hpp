// SPDX-License-Identifier: MIT
// What a Stream is inside.
#pragma once

#include <cstddef>
#include <system_error>

#include <pollux/stream.hpp>

#include "streams/holding.hpp"
#include "streams/stream_base.hpp"

namespace pollux::detail {

/// What a stream does. See StreamBase.
class StreamCore : public StreamBase {
 public:
  using Hold = Holding<StreamCore>;

  /// A stream of `group`, whose options make sense. A handle that is refused stays the caller's.
  static Stream make(Reactor& reactor, UniqueHandle& handle, const GroupPointer& group,
                     std::error_code& error) noexcept;

  // For Stream.

  /// What `stream` owns, which it does no longer; null for nothing, and for what a handler was
  /// given and does not own.
  static StreamCore* take_from(Stream& stream) noexcept;
  /// Of one that is open.
  static StreamCore* of(const Stream& stream) noexcept { return stream.core_; }
  /// Its owner has gone, and nobody else has it.
  void orphan() noexcept;

  void on_data(AnyHandler&& handler) noexcept;
  void pause() noexcept;
  void resume() noexcept;
  Bytes read(std::size_t most) noexcept;
  void keep(std::size_t bytes) noexcept;

  /// `What`: pieces, or a string.
  template <class What>
  bool write(std::size_t size, What&& what, std::error_code& error) noexcept;
  /// Has the kernel move bytes of `from` here; `moved`: how many. Whether more may be written.
  bool move_by_pipe(StreamCore& from, std::size_t& moved) noexcept;
  bool can_splice_to(const StreamCore& other) const noexcept {
    return handle_.can_splice_to(other.handle_);
  }
  /// Whether on_data() is called without bytes, and takes them by move_by_pipe(). Where it takes
  /// none, it is called with what a read gives.
  bool is_spliced() const noexcept { return spliced_; }
  void set_spliced(bool on) noexcept { spliced_ = on; }
  void shutdown_write() noexcept;
  void close() noexcept;
  void abort_when_sent() noexcept;
  void cut_off() noexcept;

  // For the service.

  /// Before the wait.
  void prepare() noexcept;
  /// Whether it has called a handler.
  bool deliver_due();

 private:
  class Watching;

  using StreamBase::StreamBase;
  std::error_code start() noexcept;

  // What the watch reports.
  void watch_reports(const StreamEvent& event);
  void handle_ends(Event events, std::error_code why);
  bool shows_an_end_instead() const noexcept;
  bool receive(bool again);
  bool deliver_spliced();
  void deliver_data(Bytes bytes);
  bool deliver_kept();
  void deliver_kept_again() noexcept;

  // What was written, and the end.
  void send() noexcept;
  bool after_write() noexcept;
  void note_drained() noexcept;
  bool end_outbound() noexcept;
  void close_when_sent() noexcept;
  bool start_closing_timer() noexcept;
  void closing_timer_fired();
  void settle_failure();
};

}  // namespace pollux::detail
