// SPDX-License-Identifier: MIT
// What a stream has, whom it calls, and who has it.
#pragma once

#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include <pollux/stream.hpp>

#include "streams/stream_deadlines.hpp"
#include "streams/stream_handle.hpp"
#include "streams/stream_input.hpp"
#include "streams/stream_output.hpp"
#include "streams/stream_service.hpp"

namespace pollux::detail {

class StreamCore;
template <class Core>
class Holding;

constexpr Event operator&(Event a, Event b) noexcept {
  return static_cast<Event>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}

/// Held by its owner's Stream, by the handler of its watch, and by whoever calls handlers: it lives
/// until all of them have let go (StreamCore::Hold). Loop thread.
class StreamBase : public StreamTurn {
 public:
  StreamBase(const StreamBase&) = delete;
  StreamBase& operator=(const StreamBase&) = delete;

  bool is_open() const noexcept {
    return !over_ && !is_closing() && service().reactor() != nullptr;
  }
  bool has_ended() const noexcept { return ended_; }
  const StreamHandle& handle() const noexcept { return handle_; }
  const StreamInput& input() const noexcept { return input_; }
  const StreamOutput& output() const noexcept { return output_; }

  void on_event(AnyHandler&& handler) noexcept;
  /// May throw std::bad_alloc.
  void on_drained(AnyHandler&& handler);
  /// A failure that comes while it is paused waits for resume(), and for the bytes before it; and
  /// nothing that is written is too much: who writes is paused.
  void is_relayed() noexcept { relayed_ = true; }

 protected:
  /// How it is being closed.
  enum class Closing : std::uint8_t { no, when_sent, reset_when_sent };
  /// The own side.
  enum class Outbound : std::uint8_t { open, ends_when_sent, ended };
  class Calling;

  /// Null, but while one of its handlers runs.
  StreamReplacements* replacements() const noexcept {
    return calling_ ? service().call().replaced : nullptr;
  }

  StreamBase(StreamService& service, UniqueHandle handle, const GroupPointer& group) noexcept;
  ~StreamBase();

  /// The whole of it: there is nothing else that is one.
  StreamCore& core() noexcept;
  StreamService& service() const noexcept { return handle_.service(); }
  bool is_closing() const noexcept { return closing_ != Closing::no; }
  /// Whether bytes may come.
  bool has_inbound() const noexcept { return !ended_ && handle_.kind() != StreamKind::pipe_writer; }
  /// Made when they are first wanted. May throw std::bad_alloc.
  StreamDeadlines& deadlines();
  void side_ended() noexcept;
  void bytes_moved() noexcept;
  void stop_closing_timer() noexcept;

  // Handlers. Each call says whether one was called.
  void deliver(Bytes bytes, StreamDelivery& delivery);
  bool report(Event events, std::error_code why = {});
  bool deliver_drained();
  void forget_handlers() noexcept;

  // Its end.
  void fail(std::error_code why);
  /// Closes the descriptor: nothing comes of it any more.
  void release() noexcept;
  /// The same where no handler may be called: in the next turn.
  void release_quietly() noexcept;
  /// The connection has failed, but bytes that came before may still be there to be read: the watch
  /// reports its end, or else StreamCore::settle_failure() does.
  void outbound_failed(int error) noexcept;

  void update_interest() noexcept;
  void make_due() noexcept;

 private:
  friend class StreamCore;
  template <class Core>
  friend class Holding;

  /// What few streams have.
  struct Extras;

  // In an order that leaves no gaps, in which the compiler puts the flags behind what comes before.
  bool over_ = false;           ///< its descriptor is closed
  bool orphan_ = false;         ///< nobody is to be called
  bool ended_ = false;          ///< end_of_stream has come
  bool waits_to_fail_ = false;  ///< it has failed, and is paused: there may be bytes
  bool calling_ = false;        ///< a handler of its own runs
  bool relayed_ = false;        ///< is_relayed()
  std::unique_ptr<Extras> extras_;
  AnyHandler on_event_;
  [[no_unique_address]] StreamHandle handle_;
  Closing closing_ = Closing::no;
  Event late_ = Event::none;  ///< of its end: is to be reported in the next turn
  [[no_unique_address]] StreamOutput output_;
  Outbound outbound_ = Outbound::open;
  bool drained_ = false;  ///< on_drained() is to be called
  std::uint32_t holders_ = 0;
  bool ends_when_resumed_ = false;  ///< both directions are over, and bytes are kept
  bool spliced_ = false;            ///< on_data() takes its bytes by StreamCore::move_by_pipe()
  std::uint8_t turns_awaited_ = 0;  ///< a write has failed, and the watch is to report the end
  [[no_unique_address]] StreamInput input_;
};

}  // namespace pollux::detail
