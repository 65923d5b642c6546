// SPDX-License-Identifier: MIT
// Connections that come in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pollux/address.hpp>
#include <pollux/detail/any_handler.hpp>
#include <pollux/export.hpp>
#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>
#include <pollux/unique_handle.hpp>

namespace pollux {

namespace detail {

class ListenerCore;

/// What a listener's handler is called with.
struct AcceptCall {
  Stream& stream;
  const Address& peer;
};

}  // namespace detail

/// What a listener calls: any callable that takes the stream, by value or as an rvalue, and, if it
/// likes, the peer's address behind it. A stream that it does not keep, and does not detach(), ends
/// as one does whose owner goes. Up to three pointers of captures need no memory of their own.
class AcceptHandler : public detail::AnyHandler {
  template <class F>
  static constexpr bool takes_peer = std::is_invocable_v<F&, Stream, const Address&>;

 public:
  /// Calls nothing: who comes in is closed.
  AcceptHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires std::is_invocable_v < std::decay_t<F>
  &, Stream,
      const Address& > || std::is_invocable_v<std::decay_t<F>&, Stream> AcceptHandler(
                              F&& function) {  // NOLINT: a lambda is a handler
    this->emplace<detail::AcceptCall>(
        [function = std::forward<F>(function)](const detail::AcceptCall& call) mutable {
          if constexpr (takes_peer<std::decay_t<F>>) {
            function(std::move(call.stream), call.peer);
          } else {
            function(std::move(call.stream));
          }
        });
  }
};

/// What becomes of who comes in when there are no descriptors, or no memory, left.
enum class WhenExhausted : std::uint8_t {
  wait,  ///< waits in the kernel's queue: the listener goes on by itself
  shed,  ///< is let in and closed at once, by means of a descriptor that is kept for that
};

/// How a listener is set up.
struct ListenerOptions {
  /// How many connections may wait in the kernel's queue. The system may allow fewer
  /// (net.core.somaxconn).
  int backlog = 4096;
  /// Several sockets may listen at the address, and the kernel spreads what comes in over them
  /// (SO_REUSEPORT): one for each thread's reactor. `operation_not_supported` where there is no
  /// such thing (Windows).
  bool reuse_port = false;
  /// What is written goes out at once, however short it is (TCP_NODELAY).
  bool no_delay = true;
  /// How many of its streams may be open at one time; 0 for any number. Who comes in then waits in
  /// the kernel's queue.
  std::size_t connection_limit = 0;
  WhenExhausted when_exhausted = WhenExhausted::wait;
  /// A listener that has run out of descriptors or memory tries again after this, and when one of
  /// its streams has ended.
  std::chrono::nanoseconds retry_after = std::chrono::milliseconds{100};
  /// Of its streams.
  StreamOptions stream = {};

  friend bool operator==(const ListenerOptions&, const ListenerOptions&) = default;
};

/// What a listener has done. A count for life.
struct ListenerStats {
  std::uint64_t accepted = 0;   ///< streams that its handler was given
  std::uint64_t shed = 0;       ///< closed at once: WhenExhausted::shed
  std::uint64_t exhausted = 0;  ///< how often it has found no descriptors, or no memory
};

/// Listens at an address, and accepts what comes in. It owns its socket. A name of AF_UNIX that a
/// program has left behind is taken over (not on Windows: `address_in_use`), and the name goes when
/// the listener closes.
///
/// Whoever listens at a port of TCP after another finds it free, although connections of that one
/// may still be open (SO_REUSEADDR). On Windows, where with this option another program could
/// listen at the port as well, it is SO_EXCLUSIVEADDRUSE, and the port may be refused
/// (`address_in_use`) until those connections have ended.
///
/// It accepts up to 64 connections in a row before others get their turn, and calls its handler for
/// each. The handler may do anything, as all handlers may: also destroy the listener.
///
/// It may be moved. All members: loop thread, and harmless when the reactor is gone; then it is
/// closed. Calls with a `std::error_code&` report through it, those without throw
/// std::system_error.
class POLLUX_EXPORT Listener {
 public:
  /// Listens to nothing.
  Listener() noexcept = default;
  /// Refused: what the system refuses (`address_in_use`, `permission_denied`,
  /// `address_not_available`), what Reactor::watch() refuses, and StreamOptions that Stream does.
  Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
           const ListenerOptions& options = {});
  Listener(Reactor& reactor, const Address& address, AcceptHandler handler, std::error_code& error)
      : Listener{reactor, address, std::move(handler), ListenerOptions{}, error} {}
  Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
           const ListenerOptions& options, std::error_code& error);
  /// Takes `handle`, which listens already: another process has made it, for instance. It is put
  /// into non-blocking mode, which whoever shares the open socket sees. Its address, its backlog
  /// and TCP_NODELAY are as they are, and a name of AF_UNIX stays. A handle that is refused is
  /// closed.
  Listener(Reactor& reactor, UniqueHandle handle, AcceptHandler handler,
           const ListenerOptions& options = {});
  Listener(Reactor& reactor, UniqueHandle handle, AcceptHandler handler,
           const ListenerOptions& options, std::error_code& error);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) noexcept;
  /// As close().
  ~Listener();

  /// Where it listens: with the port that the system has chosen, if that was left to it. None, if
  /// it is closed.
  Address address() const noexcept;
  /// How many of its streams are open.
  std::size_t connections() const noexcept;
  ListenerStats stats() const noexcept;

  /// Nobody is accepted until resume(), which also ends a wait for descriptors or memory: who comes
  /// in waits in the kernel's queue.
  void pause() noexcept;
  void resume() noexcept;
  /// Closes the socket. Its streams go on. Who waits in the kernel's queue is reset by the kernel.
  void close() noexcept;

  /// Whether it listens: it is closed neither by close() nor with its reactor.
  explicit operator bool() const noexcept;
  /// The socket, for getsockopt() and setsockopt(); no_handle if there is none. It remains the
  /// listener's.
  NativeHandle native_handle() const noexcept;

 private:
  std::shared_ptr<detail::ListenerCore> core_;
};

}  // namespace pollux
