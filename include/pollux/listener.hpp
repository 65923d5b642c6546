// SPDX-License-Identifier: MIT
// Connections that come in.
#pragma once

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

namespace pollux {

class Listener;

namespace detail {

class ListenerCore;

struct AcceptCall {
  Listener& listener;
  Stream& stream;
  const Address& peer;
};

}  // namespace detail

/// What a listener calls: any callable that takes the stream, by value or as an rvalue, and, if it
/// likes, the address of the peer behind it. A stream that it does not keep is closed.
class AcceptHandler : public detail::AnyHandler {
  template <class F>
  static constexpr bool takes_peer = std::is_invocable_v<F&, Stream, const Address&>;

 public:
  /// Calls nothing.
  AcceptHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires takes_peer<std::decay_t<F>> || std::invocable<std::decay_t<F>&, Stream>
  AcceptHandler(F&& function) {  // NOLINT: a lambda is a handler
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

/// How a listener is set up.
struct ListenerOptions {
  /// How many connections may wait to be accepted. The system may allow fewer
  /// (net.core.somaxconn).
  int backlog = 4096;
  /// Several listeners may share the address, and the system spreads what comes in (SO_REUSEPORT):
  /// one for each thread's reactor. `operation_not_supported` where there is no such thing.
  bool reuse_port = false;
  /// Small segments go out at once (TCP_NODELAY), on each stream.
  bool no_delay = true;
  /// How many streams of this listener may be open at one time; 0 for any number. Who comes later
  /// waits to be accepted.
  std::size_t connection_limit = 0;
  /// What becomes of who comes when there are no descriptors left, or no memory: they wait, and the
  /// listener tries again, every 100 ms and whenever one of its streams has ended; or it lets them
  /// in and closes at once, with a descriptor that it keeps for that.
  enum class WhenExhausted : std::uint8_t { wait, shed };
  WhenExhausted when_exhausted = WhenExhausted::wait;
  /// Of its streams.
  StreamOptions stream = {};
};

/// Listens at an address, and accepts what comes in. It owns its socket. A name of AF_UNIX that is
/// left from a listener of a program that has ended is taken over; the name goes with the listener.
///
/// It may be moved; it ends with the object. All members: loop thread, and harmless when the
/// reactor is gone.
class POLLUX_EXPORT Listener {
 public:
  /// Listens to nothing.
  Listener() noexcept = default;
  /// Refused: what the system refuses (`address_in_use`, `permission_denied`,
  /// `address_not_available`), and what Reactor::watch() does.
  Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
           const ListenerOptions& options = {});
  Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
           const ListenerOptions& options, std::error_code& error);
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) noexcept = default;
  ~Listener();

  /// Where it listens: with the port that the system has chosen, if that was left to it.
  Address address() const noexcept;
  /// How many of its streams are open.
  std::size_t connections() const noexcept;

  /// Accepts nobody until resume(): who comes waits.
  void pause() noexcept;
  void resume() noexcept;
  /// Closes the socket. Its streams go on.
  void close() noexcept;

  explicit operator bool() const noexcept { return core_ != nullptr; }

 private:
  std::shared_ptr<detail::ListenerCore> core_;
};

}  // namespace pollux
