// SPDX-License-Identifier: MIT
// A datagram socket that is read and written by the loop.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pollux/address.hpp>
#include <pollux/detail/any_handler.hpp>
#include <pollux/export.hpp>
#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>

namespace pollux {

class Datagram;

namespace detail {

class DatagramCore;

/// What a handler of a datagram socket is called with.
template <class Argument>
struct DatagramCall {
  Datagram& datagram;
  const Argument& argument;
};
template <>
struct DatagramCall<void> {
  Datagram& datagram;
};

}  // namespace detail

/// A message as it was received.
struct Message {
  /// All of it, which may be none. In memory of the library's: for this call of the handler alone.
  Bytes bytes;
  /// Whom it came from; no address for an AF_UNIX socket without a name, which cannot be answered.
  Address from;
  /// It was longer than DatagramOptions::message_limit: the rest is lost.
  bool truncated = false;
};

/// What has become of a message that was sent, or to be sent. It is the end of nothing: the socket
/// goes on.
struct DatagramError {
  /// Who has found it out.
  enum class Origin : std::uint8_t {
    unknown,  ///< the system does not say
    local,    ///< this system, which has not sent the message
    icmp,     ///< a router, or the host that the message was for: by ICMP
    icmp6,    ///< by ICMPv6
  };

  /// Why: `connection_refused` where nobody has the port (also on Windows, which calls it a reset),
  /// `message_size` for one that is too long for the path, `host_unreachable`, ...
  std::error_code code;
  /// Whom the message was for; no address if the system does not say, which on a socket that is not
  /// connected only Linux does.
  Address peer;
  /// The host that has said so by ICMP, without a port. (Linux.)
  Address reporter;
  /// See there.
  Origin origin = Origin::unknown;
  /// With `message_size`: how many bytes a packet may have on this path, with its headers; 0 if the
  /// system does not say.
  std::uint32_t mtu = 0;
};

/// What a datagram socket calls: any callable that takes `Argument`, or the socket and that. Up to
/// three pointers of captures need no memory of their own.
///
/// The Datagram that it takes stands for the one that its owner has, wherever that is by now, and
/// owns nothing: it may be asked for anything, whoever moves from it gets an empty one, and the
/// reference holds for the call alone.
template <class Argument>
class DatagramHandler : public detail::AnyHandler {
  using Call = detail::DatagramCall<Argument>;
  template <class F>
  static constexpr bool takes_both = std::is_invocable_v<F&, Datagram&, const Argument&>;

 public:
  /// Calls nothing.
  DatagramHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires takes_both<std::decay_t<F>> || std::invocable < std::decay_t<F>
  &, const Argument& > DatagramHandler(F&& function) {  // NOLINT: a lambda is a handler
    this->template emplace<Call>([function = std::forward<F>(function)](const Call& call) mutable {
      if constexpr (takes_both<std::decay_t<F>>) {
        function(call.datagram, call.argument);
      } else {
        function(call.argument);
      }
    });
  }
};

/// The same without an argument.
template <>
class DatagramHandler<void> : public detail::AnyHandler {
  using Call = detail::DatagramCall<void>;
  template <class F>
  static constexpr bool takes_datagram = std::is_invocable_v<F&, Datagram&>;

 public:
  /// Calls nothing.
  DatagramHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires takes_datagram<std::decay_t<F>> || std::invocable < std::decay_t<F>
  & > DatagramHandler(F&& function) {  // NOLINT: likewise
    this->template emplace<Call>([function = std::forward<F>(function)](const Call& call) mutable {
      if constexpr (takes_datagram<std::decay_t<F>>) {
        function(call.datagram);
      } else {
        function();
      }
    });
  }
};

/// How a datagram socket is set up. Sizes are in bytes.
struct DatagramOptions {
  /// A longer message is cut off there, and says so (Message::truncated). 64 KiB at most, which is
  /// all that UDP can carry. The shorter this is, the more messages one call to the kernel
  /// receives: 3 with this default, 32 with 1,500.
  std::uint32_t message_limit = 64 * 1024;
  /// send() refuses what would make more than this wait. Each message counts as 64 bytes more than
  /// it has.
  std::uint32_t send_limit = 1024 * 1024;
  /// Several sockets may share the address, and the system spreads what comes in (SO_REUSEPORT):
  /// one for each thread's reactor. `operation_not_supported` where there is no such thing.
  bool reuse_port = false;

  friend bool operator==(const DatagramOptions&, const DatagramOptions&) = default;
};

/// A socket for messages (UDP, AF_UNIX datagrams) that owns its descriptor. A message is sent and
/// received as a whole: never in parts, never together with another. UDP may lose messages, and
/// change their order; AF_UNIX does neither.
///
/// It begins to receive when on_message() is set, in batches, so many a turn that others get
/// theirs. While no message is there it holds no memory for them.
///
/// Handlers may do anything, as all handlers do: also destroy the Datagram, or any other. It may be
/// moved; its handlers go with it. All members: loop thread. When the reactor is gone each call is
/// harmless. Calls with a `std::error_code&` report through it, those without throw
/// std::system_error.
class POLLUX_EXPORT Datagram {
 public:
  /// No socket: what it is asked answers `bad_file_descriptor`.
  Datagram() noexcept = default;
  /// Has the address `local`, where messages for it arrive. A name of AF_UNIX that is left from a
  /// socket of a program that has ended is taken over; the name goes with the socket. Refused: what
  /// the system refuses (`address_in_use`, `permission_denied`, `address_not_available`),
  /// `invalid_argument` for no address and for a message_limit that is 0 or too large, and what
  /// Reactor::watch() refuses.
  Datagram(Reactor& reactor, const Address& local, const DatagramOptions& options = {});
  Datagram(Reactor& reactor, const Address& local, std::error_code& error)
      : Datagram{reactor, local, DatagramOptions{}, error} {}
  Datagram(Reactor& reactor, const Address& local, const DatagramOptions& options,
           std::error_code& error);
  /// Has no address, but what the system gives to a UDP socket that sends or connects. Errors as
  /// above.
  Datagram(Reactor& reactor, Address::Family family, const DatagramOptions& options = {});
  Datagram(Reactor& reactor, Address::Family family, std::error_code& error)
      : Datagram{reactor, family, DatagramOptions{}, error} {}
  Datagram(Reactor& reactor, Address::Family family, const DatagramOptions& options,
           std::error_code& error);
  Datagram(Datagram&& other) noexcept;
  Datagram& operator=(Datagram&& other) noexcept;
  /// Ends it as close() does.
  ~Datagram();

  /// Whether it is a socket: neither has close() been called, nor is the reactor gone.
  explicit operator bool() const noexcept;

  /// `peer` alone is received from now on, and sent to by send() without an address. Where the peer
  /// of an AF_UNIX socket has gone and come back, under its name, so does the connection, with the
  /// next message. Errors: what the system says (`connection_refused` and
  /// `no_such_file_or_directory` for a name of AF_UNIX that nobody has, `network_unreachable`),
  /// `invalid_argument` for no address, `bad_file_descriptor`, Errc::reactor_closed. What there was
  /// before stays then.
  void connect(const Address& peer);
  void connect(const Address& peer, std::error_code& error) noexcept;

  // What it calls. Each replaces the handler there was; not from inside of that very handler.

  /// A message has arrived. From now on messages are received.
  void on_message(DatagramHandler<Message> handler);
  /// A message that was sent has not arrived, and the system says so; or it could not be sent. Most
  /// messages that are lost, are lost without a word. On Linux this asks the system for its error
  /// queue (IP_RECVERR), which says more than others do, also of sockets that are not connected.
  /// While nobody receives, on a backend without Interest::priority, it is called with the next
  /// send(). Without this handler, what the system says of lost messages is dropped.
  void on_error(DatagramHandler<DatagramError> handler);
  /// send() has answered false, and nothing waits any more.
  void on_drained(DatagramHandler<void> handler);

  // Receiving.

  /// No message is delivered, and none received, until resume(). In its handler: not after this
  /// call; what was received with this message waits. Errors are delivered all the same.
  void pause() noexcept;
  /// Goes on.
  void resume() noexcept;
  bool is_paused() const noexcept;

  // Sending.

  /// Sends a message to `to`, or to the peer that it is connected to. What the kernel does not take
  /// at once is copied and waits; what is sent by on_message() is gathered, and goes when the
  /// messages that have arrived together are handled. Messages go in order; those that an AF_UNIX
  /// socket has for a peer that does not read do not hold up those for others.
  ///
  /// False: messages wait for the kernel, so send no more until on_drained(). A message that the
  /// kernel has room for, and refuses to send, is an error of on_error(), with Origin::local,
  /// whether that is found at once or later. Refused here, and then not sent: `no_buffer_space` for
  /// what exceeds send_limit, `destination_address_required` without an address on a socket that is
  /// not connected, `not_enough_memory`, `bad_file_descriptor`, Errc::reactor_closed.
  bool send(Bytes bytes, const Address& to);
  bool send(Bytes bytes, const Address& to, std::error_code& error) noexcept;
  bool send(std::string_view text, const Address& to) { return send(as_bytes(text), to); }
  bool send(std::string_view text, const Address& to, std::error_code& error) noexcept {
    return send(as_bytes(text), to, error);
  }
  bool send(Bytes bytes);
  bool send(Bytes bytes, std::error_code& error) noexcept;
  bool send(std::string_view text) { return send(as_bytes(text)); }
  bool send(std::string_view text, std::error_code& error) noexcept {
    return send(as_bytes(text), error);
  }
  /// How many bytes wait to be sent.
  std::size_t unsent() const noexcept;

  /// Closes the socket. What was gathered is sent; what waits for the kernel is lost. Nothing more
  /// is delivered, and the handlers are destroyed, at the latest when the call that is running
  /// returns.
  void close() noexcept;

  /// Its own address: with the port that the system has chosen, if that was left to it.
  Address address() const noexcept;
  /// The descriptor, for setsockopt(); no_handle if there is none. It remains the socket's: do not
  /// receive from it, send by it, or close it.
  NativeHandle native_handle() const noexcept;

 private:
  friend class detail::DatagramCore;

  detail::DatagramCore* core_ = nullptr;
};

}  // namespace pollux
