// SPDX-License-Identifier: MIT
// What a Stream is inside.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

#include <pollux/stream.hpp>

#include "platform/stream_io.hpp"
#include "streams/stream_group.hpp"
#include "streams/stream_service.hpp"
#include "streams/write_queue.hpp"

namespace pollux::detail {

/// Held by its owner's Stream, by the handler of its watch, and by whoever calls handlers: it lives
/// until all of them have let go. Loop thread.
class StreamCore {
 public:
  /// A pointer that holds it.
  class Hold {
   public:
    struct TakenOver {};
    static constexpr TakenOver taken_over{};

    explicit Hold(StreamCore& core) noexcept : core_{&core} { ++core.holders_; }
    /// Of one that holds it already, and has called leave().
    Hold(TakenOver, StreamCore& core) noexcept : core_{&core} {}
    Hold(Hold&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (core_ != nullptr && --core_->holders_ == 0) delete core_;
    }
    StreamCore* operator->() const noexcept { return core_; }
    /// Leaves it held.
    void leave() noexcept { core_ = nullptr; }

   private:
    StreamCore* core_;
  };

  /// Null, and an error, if `handle` is refused.
  static StreamCore* make(Reactor& reactor, UniqueHandle handle, const StreamOptions& options,
                          std::error_code& error) noexcept;
  /// One of `group`, whose options are valid. A handle that is refused stays the caller's.
  static Stream make(Reactor& reactor, UniqueHandle& handle, const GroupPointer& group,
                     std::error_code& error) noexcept;
  static bool are_valid(const StreamOptions& options) noexcept;

  StreamCore(const StreamCore&) = delete;
  StreamCore& operator=(const StreamCore&) = delete;

  // For Stream.

  /// What `stream` owns, which it does no longer; null for nothing, and for what a handler was
  /// given and does not own.
  static StreamCore* give(Stream& stream) noexcept;
  /// Of one that is open.
  static StreamCore* of(const Stream& stream) noexcept { return stream.core_; }
  bool has_ended() const noexcept { return ended_; }

  bool is_open() const noexcept { return !over_ && !closing_ && service().reactor() != nullptr; }
  /// Its owner has gone, and nobody else has it.
  void orphan() noexcept;
  /// Its owner has gone, and it lives by itself.
  void let_go() noexcept;

  void on_data(AnyHandler&& handler) noexcept;
  void on_event(AnyHandler&& handler) noexcept { on_event_ = std::move(handler); }
  void on_drained(AnyHandler&& handler);

  void pause() noexcept;
  void resume() noexcept;
  bool is_paused() const noexcept { return paused_; }
  Bytes read(std::size_t most) noexcept;
  void keep(std::size_t bytes) noexcept;

  bool write(std::span<const Bytes> pieces, std::error_code& error) noexcept;
  bool write(std::string&& text, std::error_code& error) noexcept;
  std::size_t unsent() const noexcept { return queue_.size(); }

  void shutdown_write() noexcept;
  void close() noexcept;
  void abort() noexcept;
  void abort_when_sent() noexcept;
  /// A failure that comes while it is paused waits for resume(), and for the bytes before it.
  void let_bytes_go_first() noexcept { bytes_go_first_ = true; }
  /// The reactor has gone.
  void reactor_closed() noexcept;
  Address local_address() const noexcept;
  Address peer_address() const noexcept;
  NativeHandle native_handle() const noexcept { return handle_.get(); }

  // For the service.

  StreamCore* next = nullptr;  ///< in its list

  /// Before the wait.
  void prepare() noexcept;
  /// Whether deliver_due() has anything to do.
  bool is_due() const noexcept { return due_; }
  /// Whether it has called a handler.
  bool deliver_due();
  bool is_listed() const noexcept { return listed_; }
  void set_listed(bool listed) noexcept { listed_ = listed; }

 private:
  /// What few streams have.
  struct Extras {
    AnyHandler on_drained;
    Timer idle;
    Timer half_closed;
    Timer closing;
    /// Of abort_when_sent(): what had not been acknowledged when that was asked last, when it is
    /// given up, and how long until it is asked again.
    std::size_t unacknowledged = 0;
    Timer::time_point give_up_at = {};
    std::chrono::milliseconds ask_after{1};
  };
  /// Bytes that were delivered, and not read.
  struct Kept {
    std::unique_ptr<std::byte[]> memory;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t room = 0;
  };
  class Calling;
  class Watching;

  StreamCore(StreamService& service, UniqueHandle handle, const GroupPointer& group) noexcept
      : service_{service}, group_{group}, handle_{std::move(handle)} {
    if (group_) ++group_->open;
  }
  ~StreamCore();
  std::error_code start() noexcept;

  const StreamOptions& options() const noexcept {
    return group_ ? group_->options : default_options;
  }

  StreamService& service() const noexcept { return *service_; }

  // What the watch reports.
  void handle(const StreamEvent& event);
  void handle_ends(const StreamEvent& event);
  void wait_to_fail(std::error_code why) noexcept;
  bool shows_an_end_instead() const noexcept;
  bool receive(bool again);
  void discard() noexcept;
  void deliver_data(Bytes bytes);
  bool keep_rest(Bytes rest) noexcept;
  bool has_kept() const noexcept { return kept_ && kept_->begin != kept_->end; }
  bool make_room_to_keep(std::size_t bytes) noexcept;

  // Writing.
  bool may_write(std::size_t bytes, std::error_code& error) const noexcept;
  bool after_write() noexcept;
  platform::Moved send(std::span<const Bytes> pieces) noexcept;
  void flush() noexcept;
  void outbound_failed(int error) noexcept;
  void all_sent() noexcept;
  bool end_outbound() noexcept;

  // The end.
  void fail(std::error_code why);
  void close_when_sent() noexcept;
  bool closes_in_time() noexcept;
  bool make_closing_timer(std::chrono::nanoseconds delay) noexcept;
  void closing_timer_fired();
  void reset_when_acknowledged() noexcept;
  void release() noexcept;
  void leave_group() noexcept;
  void release_quietly() noexcept;
  void settle_failure();
  bool deliver_kept();
  bool deliver_drained();
  /// Whether a handler was called.
  bool report(Event events, std::error_code why = {});
  void forget_handlers() noexcept;

  void update_interest() noexcept;
  Interest wanted_interest() const noexcept;
  void make_due() noexcept {
    due_ = true;
    ask_for_turn();
  }
  void ask_for_turn() noexcept { service().add(*this); }

  // Deadlines.
  Extras& extras();
  std::error_code make_deadlines() noexcept;
  void bytes_moved() noexcept;
  void side_ended() noexcept;
  void timed_out();

  static const StreamOptions default_options;

  ServicePointer service_;
  StreamWatch watch_;
  GroupPointer group_;  ///< none: alone, with the defaults
  std::unique_ptr<Extras> extras_;
  std::unique_ptr<Kept> kept_;
  AnyHandler on_data_;
  AnyHandler on_event_;
  WriteQueue queue_;
  UniqueHandle handle_;
  std::uint32_t holders_ = 0;
  std::int32_t failure_ = 0;      ///< what a write has taken out of the kernel
  std::uint32_t reads_made_ = 0;  ///< calls that have moved bytes
  StreamKind kind_ = StreamKind::socket;
  Interest interest_ = Interest::none;
  bool reads_ = false;  ///< on_data() was set
  bool paused_ = false;
  bool ended_ = false;           ///< end_of_stream has come
  bool over_ = false;            ///< its descriptor is closed
  bool left_ = false;            ///< the group
  bool orphan_ = false;          ///< nobody is to be called
  bool wants_shutdown_ = false;  ///< when all has been sent
  bool shut_down_ = false;
  bool closing_ = false;
  bool resets_ = false;             ///< closing, with a reset at the end
  bool bytes_go_first_ = false;     ///< let_bytes_go_first()
  bool waits_to_fail_ = false;      ///< has failed, and is paused: there may be bytes
  bool ends_when_resumed_ = false;  ///< both directions are over, and bytes are kept
  bool blocked_ = false;            ///< the kernel has taken no more
  bool above_ = false;              ///< more than the high-water mark has been waiting
  bool calling_ = false;            ///< a handler of its own runs
  bool write_failed_ = false;
  bool end_awaited_ = false;  ///< a write has failed, and the watch is about to report the end
  bool listed_ = false;       ///< in the service's list
  bool due_ = false;          ///< a handler may have to be called in the next turn
  bool drained_ = false;      ///< on_drained() has
  bool kept_due_ = false;     ///< what was kept is to be delivered again
  bool hangup_due_ = false;   ///< hangup is to be reported
};

}  // namespace pollux::detail
