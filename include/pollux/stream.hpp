// SPDX-License-Identifier: MIT
// A byte stream that is read and written by the loop.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pollux/address.hpp>
#include <pollux/detail/any_handler.hpp>
#include <pollux/events.hpp>
#include <pollux/export.hpp>
#include <pollux/reactor.hpp>
#include <pollux/unique_handle.hpp>

namespace pollux {

class Stream;

namespace detail {

class StreamBase;
class StreamCore;

/// What a handler of a stream is called with.
template <class Argument>
struct StreamCall {
  Stream& stream;
  const Argument& argument;
};
template <>
struct StreamCall<void> {
  Stream& stream;
};

}  // namespace detail

/// Bytes that a stream delivers, or is to send.
using Bytes = std::span<const std::byte>;

/// The same bytes as text. Any thread.
inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// The same text as bytes. Any thread.
inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// What a stream calls: any callable that takes `Argument`, or the stream and that. Up to three
/// pointers of captures need no memory of their own.
///
/// The stream that it takes stands for the one that its owner has, wherever that is by now, and
/// owns nothing: it may be asked for anything, whoever moves from it gets an empty stream, and the
/// reference holds for the call alone.
template <class Argument>
class StreamHandler : public detail::AnyHandler {
  using Call = detail::StreamCall<Argument>;

 public:
  /// Calls nothing.
  StreamHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires std::invocable < std::decay_t<F>
  &, Stream&,
      const Argument& > || std::invocable<std::decay_t<F>&, const Argument&> StreamHandler(
                               F&& function) {  // NOLINT: a lambda is a handler
    this->template emplace<Call>([function = std::forward<F>(function)](const Call& call) mutable {
      if constexpr (std::invocable<std::decay_t<F>&, Stream&, const Argument&>) {
        function(call.stream, call.argument);
      } else {
        function(call.argument);
      }
    });
  }
};

/// The same without an argument.
template <>
class StreamHandler<void> : public detail::AnyHandler {
  using Call = detail::StreamCall<void>;

 public:
  /// Calls nothing.
  StreamHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires std::invocable < std::decay_t<F>
  &, Stream& > ||
         std::invocable<std::decay_t<F>&> StreamHandler(F&& function) {  // NOLINT: likewise
    this->template emplace<Call>([function = std::forward<F>(function)](const Call& call) mutable {
      if constexpr (std::invocable<std::decay_t<F>&, Stream&>) {
        function(call.stream);
      } else {
        function();
      }
    });
  }
};

/// How a stream is set up. The defaults suit a server of many clients. Sizes are in bytes.
struct StreamOptions {
  /// write() answers false while more than this waits to be sent, ...
  std::uint32_t write_high_water = 64 * 1024;
  /// ... and on_drained() is called when no more than this does.
  std::uint32_t write_low_water = 16 * 1024;
  /// write() refuses what would make more than this wait. Not less than write_high_water.
  std::uint32_t write_limit = 16 * 1024 * 1024;
  /// How much is kept for a handler that leaves bytes unread (read()). With more the stream fails.
  std::uint32_t read_limit = 1024 * 1024;
  /// No byte has come or gone for so long: the stream fails with `timed_out`. Zero is no deadline,
  /// here and below.
  std::chrono::nanoseconds idle_timeout{0};
  /// The same, counted from when one side has ended, and no longer put off by bytes.
  std::chrono::nanoseconds half_closed_timeout{0};
  /// How long close() goes on sending, and waits for the peer's end, before it cuts the stream off:
  /// at zero, at once.
  std::chrono::nanoseconds close_timeout = std::chrono::seconds{5};
  /// Whether on_event() is called with peer_closed.
  bool peer_closed = false;

  friend bool operator==(const StreamOptions&, const StreamOptions&) = default;
};

/// A byte stream (TCP, AF_UNIX stream, pipe, FIFO, terminal) that owns its descriptor, reads by
/// itself, and sends what is written as the peer takes it. Its lifecycle is that of the contract
/// (docs/contract.md), with `on_data` in the place of readable.
///
/// It begins to read when on_data() is set. Bytes are in memory of the library's: of one call of
/// the handler, unless some are kept. An idle stream holds none.
///
/// Handlers may do anything, as all handlers do: also destroy the stream, or any other. A stream
/// that is destroyed goes on sending what was written, as close() has it, and calls nobody any
/// more. After hangup it has closed its descriptor, and its handlers are not called any more.
///
/// It may be moved; its handlers go with it. All members: loop thread. When the reactor is gone the
/// stream is closed, and each call is harmless. Calls with a `std::error_code&` report through it,
/// those without throw std::system_error.
class POLLUX_EXPORT Stream {
 public:
  /// No stream: what it is asked answers Errc::stream_closed.
  Stream() noexcept = default;
  /// Takes `handle`, which is connected, or connecting. It is put into non-blocking mode where that
  /// is needed (pipes and terminals; sockets of Windows), which whoever shares the open file sees.
  /// Refused: what Reactor::watch_stream() refuses, and `invalid_argument` for a low-water mark
  /// above the high one, or that above the limit. `handle` is closed then.
  Stream(Reactor& reactor, UniqueHandle handle, const StreamOptions& options = {});
  Stream(Reactor& reactor, UniqueHandle handle, std::error_code& error)
      : Stream{reactor, std::move(handle), StreamOptions{}, error} {}
  Stream(Reactor& reactor, UniqueHandle handle, const StreamOptions& options,
         std::error_code& error);
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  /// Ends it as close() does, without a word to its handlers, which are destroyed, at the latest
  /// when the call that is running returns.
  ~Stream();

  /// Whether it is a stream that has not ended: neither hangup was delivered, nor has close() or
  /// abort() been called, nor is the reactor gone.
  explicit operator bool() const noexcept;

  // What it calls. Each replaces the handler there was. One that is running goes on to its end: the
  // new one comes into its place then, and gets what it has not read.

  /// The bytes that have arrived, in order. They count as read when the handler returns, unless it
  /// has called read() or keep(). From now on the stream reads.
  void on_data(StreamHandler<Bytes> handler);
  /// What happens besides: peer_closed, end_of_stream, error, hangup, in the order of the contract,
  /// each once; never readable or writable. Bytes that came before have been delivered before.
  /// Without this handler the stream closes itself at the end of the peer's bytes, when what was
  /// written has been sent. As these bytes do, their end comes only to a stream that reads: one on
  /// which on_data() was set, and that is not paused.
  void on_event(StreamHandler<StreamEvent> handler);
  /// More than StreamOptions::write_high_water had been waiting, and no more than write_low_water
  /// is now. May throw std::bad_alloc.
  void on_drained(StreamHandler<void> handler);

  // Reading.

  /// No more bytes are delivered, and none are read, until resume(). In its handler: not after this
  /// call; what that one has brought counts as read, as always.
  void pause() noexcept;
  /// Goes on. What was kept is delivered in the next turn, with what has arrived.
  void resume() noexcept;
  bool is_paused() const noexcept;
  /// Takes up to `most` of the bytes that are there. In on_data(): of those of this call, from the
  /// first one on; what the handler has not read when it returns is kept, and delivered again in
  /// front of what comes next. Outside, of a paused stream, and of one whose peer has ended: of
  /// those kept, and then of those that the kernel has. They stay where they are until the handler
  /// returns, or the next turn begins.
  Bytes read(std::size_t most) noexcept;
  /// In on_data(): the last `bytes` of this call are kept, and delivered again in front of what
  /// comes next. They are unread: while the stream is paused, the end of both directions waits for
  /// them (rule 4 of the contract).
  void keep(std::size_t bytes) noexcept;

  // Writing.

  /// Sends `bytes` after all that was written before, as the peer takes it. What the kernel does
  /// not take at once is copied and waits; what is written in one turn is sent together where it
  /// is short. False: more than write_high_water waits now, so write no more until on_drained().
  /// Bytes that are written to a stream that has failed, and has not said so yet, are lost like
  /// those that were under way. Refused, and then nothing is sent of it: `no_buffer_space` for what
  /// exceeds write_limit, `broken_pipe` after shutdown_write(), Errc::stream_closed,
  /// Errc::reactor_closed, `not_enough_memory`.
  bool write(Bytes bytes);
  bool write(Bytes bytes, std::error_code& error) noexcept;
  bool write(std::string_view text) { return write(as_bytes(text)); }
  bool write(std::string_view text, std::error_code& error) noexcept {
    return write(as_bytes(text), error);
  }
  bool write(const char* text) { return write(std::string_view{text}); }
  bool write(const char* text, std::error_code& error) noexcept {
    return write(std::string_view{text}, error);
  }
  /// The same without a copy: what has to wait, waits in `text`.
  bool write(std::string&& text);
  bool write(std::string&& text, std::error_code& error) noexcept;
  /// Several pieces, in order, with one call to the kernel for up to 16 of them: all, or none.
  bool write(std::span<const Bytes> pieces);
  bool write(std::span<const Bytes> pieces, std::error_code& error) noexcept;
  /// How many bytes wait to be sent.
  std::size_t unsent() const noexcept;

  // The end.

  /// Ends the own side when all that was written has been sent: the peer gets the end of the
  /// stream. Reading goes on. Of a pipe's writing end it is the end of the stream.
  void shutdown_write() noexcept;
  /// Sends what was written, ends the own side, and closes when the peer has ended its own, or
  /// StreamOptions::close_timeout has passed: so that no byte is cut off by the close itself, as it
  /// is where a close leaves bytes unread. Nothing more is delivered but hangup, when it is closed.
  void close() noexcept;
  /// Closes at once, with a reset where there is such a thing (TCP): what was not sent is lost.
  /// Nothing more is delivered.
  void abort() noexcept;

  /// The same when what was written has arrived at the peer, as far as the kernel says so: the peer
  /// gets each byte, and then a reset. It is given up when nothing has arrived for
  /// StreamOptions::close_timeout. Nothing more is delivered but hangup. (The kernel is asked with
  /// SIOCOUTQ, tcp(7), or what stands for it; where there is nothing of the kind (Windows) the
  /// reset comes when all has been sent, and may overtake bytes.)
  void abort_when_sent() noexcept;

  /// The stream belongs to itself from now on: it lives until hangup, or close() or abort() by a
  /// handler. This object is empty then.
  void detach() noexcept;

  /// Where its own end is, and its peer's. None for what is no socket, or ended, and for AF_UNIX
  /// sockets without a name. Asks the system each time.
  Address local_address() const noexcept;
  Address peer_address() const noexcept;
  /// The descriptor, for getsockopt() and setsockopt(); no_handle if there is none. It remains the
  /// stream's: do not read it, write to it, or close it.
  NativeHandle native_handle() const noexcept;

 private:
  friend class detail::StreamBase;
  friend class detail::StreamCore;

  detail::StreamCore* core_ = nullptr;
};

}  // namespace pollux
