// SPDX-License-Identifier: MIT
// Connections that go out.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <pollux/address.hpp>
#include <pollux/detail/any_handler.hpp>
#include <pollux/export.hpp>
#include <pollux/reactor.hpp>
#include <pollux/resolver.hpp>
#include <pollux/stream.hpp>

namespace pollux {

namespace detail {

class ConnectorCore;

/// What a connector's handler is called with.
struct ConnectCall {
  std::error_code error;
  Stream& stream;
};

}  // namespace detail

/// What a connector calls: any callable that takes a `std::error_code` and, by value or as an
/// rvalue, the stream. Behind an error the stream is empty. One that it does not keep is closed.
class ConnectHandler : public detail::AnyHandler {
 public:
  /// Calls nothing.
  ConnectHandler() noexcept = default;
  /// Calls `function`, which is moved or copied into it.
  template <detail::Callable F>
  requires std::invocable < std::decay_t<F>
  &, std::error_code,
      Stream > ConnectHandler(F&& function) {  // NOLINT: a lambda is a handler
    this->emplace<detail::ConnectCall>(
        [function = std::forward<F>(function)](const detail::ConnectCall& call) mutable {
          function(call.error, std::move(call.stream));
        });
  }
};

/// How a connector is set up.
struct ConnectOptions {
  /// For all of it, the resolver included: then it is `timed_out`. Zero is no deadline.
  std::chrono::nanoseconds timeout = std::chrono::seconds{30};
  /// How long the attempt at one address goes on alone before the next begins beside it. Less than
  /// 10 ms is taken for 10 ms.
  std::chrono::nanoseconds attempt_delay = std::chrono::milliseconds{250};
  /// Small segments go out at once (TCP_NODELAY).
  bool no_delay = true;
  /// Where the connection is to come from. An address of another family than this one is then
  /// `address_family_not_supported`.
  Address local = {};
  /// Of the stream.
  StreamOptions stream = {};
};

/// Connects to an address, or to one of several, and has its handler called once with the stream,
/// or with an error: in the loop's thread, and never from inside the constructor, in which the
/// first attempt has begun all the same.
///
/// Of several addresses the families take turns, that of the first one first, otherwise in their
/// order. Each is tried when the one before has failed, or ConnectOptions::attempt_delay after it
/// was begun. The first that is connected is the one, and all others are closed (RFC 8305).
///
/// If all fail, the error is the one that says most, and of several the first address's: that there
/// were no descriptors or no memory to try with (`too_many_files_open`, `not_enough_memory`); then
/// what a host has answered, or has not (`connection_refused`, `connection_reset`, `timed_out`,
/// `no_such_file_or_directory` for a name of AF_UNIX, and all others); then that it was not reached
/// (`network_unreachable`, `host_unreachable`, `address_not_available`,
/// `address_family_not_supported`). At the deadline it is `timed_out`. No address is
/// `invalid_argument`. Errors of the resolver, and of Stream's constructor, are reported as they
/// are.
///
/// An AF_UNIX socket that has no room for another connection now (Linux) is tried again until it
/// has some, or the deadline comes. A TCP socket that has connected to itself, as it may where
/// nobody listens at a port that the system has given it, is `connection_refused`.
///
/// It may be moved, and destroyed in its own handler, and ends with the object: what is under way
/// is closed then, and nobody is called. All members: loop thread. When the reactor goes, the
/// handler is not called any more, and each call is harmless.
class POLLUX_EXPORT Connector {
 public:
  /// Connects to nothing.
  Connector() noexcept = default;
  /// What fails is reported to the handler, but for this: `not_enough_memory`,
  /// Errc::reactor_closed.
  Connector(Reactor& reactor, const Address& address, ConnectHandler handler,
            const ConnectOptions& options = {});
  Connector(Reactor& reactor, const Address& address, ConnectHandler handler,
            const ConnectOptions& options, std::error_code& error);
  /// To one of these.
  Connector(Reactor& reactor, std::span<const Address> addresses, ConnectHandler handler,
            const ConnectOptions& options = {});
  Connector(Reactor& reactor, std::span<const Address> addresses, ConnectHandler handler,
            const ConnectOptions& options, std::error_code& error);
  /// To one of those that `resolver` finds, which is asked at once. Refused besides: what
  /// Resolver::resolve() does (`invalid_argument` for no name).
  Connector(Reactor& reactor, Resolver& resolver, std::string_view host, std::uint16_t port,
            ConnectHandler handler, const ConnectOptions& options = {});
  Connector(Reactor& reactor, Resolver& resolver, std::string_view host, std::uint16_t port,
            ConnectHandler handler, const ConnectOptions& options, std::error_code& error);
  Connector(Connector&& other) noexcept = default;
  Connector& operator=(Connector&& other) noexcept;
  ~Connector();

  /// Whether the handler is still to be called, as far as its reactor is there.
  explicit operator bool() const noexcept;

  /// Closes what is under way; a server that has accepted it sees a reset (TCP). The handler is not
  /// called any more, and is destroyed, at the latest when the call that is running returns.
  void cancel() noexcept;

  /// The connector belongs to itself from now on, and lives until its handler has been called:
  /// `Connector{reactor, address, handler}.detach();` connects, and there is nothing to be kept.
  /// This object is empty then.
  void detach() noexcept;

 private:
  std::shared_ptr<detail::ConnectorCore> core_;
};

}  // namespace pollux
