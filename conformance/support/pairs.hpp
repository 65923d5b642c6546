// SPDX-License-Identifier: MIT
// Connected pairs of every kind, and the plain operations on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <pollux/address.hpp>
#include <pollux/backend.hpp>

namespace pollux::support {

/// Owns a descriptor.
class Handle {
 public:
  Handle() noexcept = default;
  explicit Handle(NativeHandle handle) noexcept : handle_{handle} {}
  Handle(Handle&& other) noexcept : handle_{std::exchange(other.handle_, no_handle)} {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, no_handle);
    }
    return *this;
  }
  ~Handle() { close(); }

  NativeHandle get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != no_handle; }
  /// 0, or minus the error number.
  int close() noexcept;
  /// Gives up ownership without closing.
  NativeHandle release() noexcept { return std::exchange(handle_, no_handle); }

 private:
  NativeHandle handle_ = no_handle;
};

enum class PairKind { tcp4, tcp6, unix_stream, pipe };

std::string_view to_string(PairKind kind) noexcept;
constexpr bool is_tcp(PairKind kind) noexcept {
  return kind == PairKind::tcp4 || kind == PairKind::tcp6;
}

/// `local` is the side under watch, `peer` the other; both non-blocking. Of a pipe, `local` is the
/// reading end and `peer` the writing one.
struct Pair {
  Handle local;
  Handle peer;
};

/// The kinds that this system has. What it has not is said once, by run() of the kit.
std::span<const PairKind> available_pair_kinds() noexcept;
bool is_available(PairKind kind) noexcept;
/// Where any stream will do: what costs this system least.
PairKind cheapest_pair_kind() noexcept;

/// Whether AF_UNIX has urgent bytes, as TCP has: on Linux since 5.15.
bool unix_has_urgent_bytes();

/// Of a socket: what the kind of pair means by itself, or MPTCP in place of TCP.
enum class Protocol : int { usual = 0, multipath = 262 };

/// Whether such a socket is to be had on this system.
bool has_multipath();

/// A fresh pair; for TCP over loopback, from an ephemeral port. Throws std::system_error.
Pair make_pair(PairKind kind, Protocol protocol = Protocol::usual);

/// A fresh non-blocking socket of that kind, neither connected nor connecting. Not for pipes.
Handle make_socket(PairKind kind, Protocol protocol = Protocol::usual);

/// A listening socket on loopback with an ephemeral port (AF_UNIX: an abstract name), non-blocking.
/// `backlog` connections may wait for it.
Handle make_listener(PairKind kind, Protocol protocol = Protocol::usual, int backlog = 8);

/// Starts connecting a fresh non-blocking socket to `listener`'s address. AF_UNIX connects at once.
Handle start_connect(PairKind kind, const Handle& listener, Protocol protocol = Protocol::usual);

/// Starts connecting a fresh non-blocking stream socket to that address.
Handle start_connect(const Address& address);
/// A socket that listens there. It leaves a name behind.
Handle bind_listener(const Address& address);
/// Whether TCP sends what is written at once (TCP_NODELAY).
bool sends_at_once(NativeHandle handle);

/// Starts connecting a fresh non-blocking TCP socket to a loopback port that nobody listens on.
Handle start_refused_connect(PairKind kind);

/// Accepts one connection; waits for it for up to five seconds.
Handle accept_one(const Handle& listener);
/// Accepts one that is there; empty, and its reason in `error`, if there is none.
Handle accept_now(const Handle& listener, int& error);

/// A socket that takes datagrams, on the loopback address that a listener of that kind would have.
Handle make_mailbox(PairKind kind);

/// Two datagram sockets over IPv4 that are connected to one another.
Pair make_udp_pair();

// Operations. Each returns what the system call did: bytes, 0, or minus the error number, which is
// one of <cerrno> on every system. None waits.
long write_bytes(const Handle& handle, std::string_view bytes);
/// Reads up to `most` bytes.
long read_bytes(const Handle& handle, std::size_t most = 65536);
/// The same, up to 65,536 bytes, which are added to `text`.
long read_onto(std::string& text, const Handle& handle);
/// Reads until nothing is left; how many bytes, and through `last` what the last call returned.
std::size_t drain(const Handle& handle, long* last = nullptr);
/// Writes until the kernel takes no more; how many bytes.
std::size_t fill(const Handle& handle);
/// One urgent byte.
long write_urgent(const Handle& handle);
long read_urgent(const Handle& handle);
/// One byte, which stays.
long peek(const Handle& handle);
/// A packet of no bytes.
long write_nothing(const Handle& handle);
enum class Direction { read, write, both };
/// 0, or minus the error number.
long shut_down(const Handle& handle, Direction direction);
// Those throw if it fails.
void shutdown_read(const Handle& handle);
void shutdown_write(const Handle& handle);
void shutdown_both(const Handle& handle);
/// Closes with a reset: SO_LINGER zero on TCP. On AF_UNIX a close with unread bytes is one: the
/// caller sees to those.
void reset_connection(Handle& handle);
/// From now on a close of it is a reset.
void set_linger_zero(const Handle& handle);
Handle duplicate(const Handle& handle);

/// Whether at least one byte can be read.
bool has_unread(const Handle& handle);
/// How many; minus the error number if the system does not say.
long unread_bytes(const Handle& handle);
/// SO_ERROR, which takes it, as a number of <cerrno>.
int pending_error(const Handle& handle);
/// The port that it is bound to, in the order of the network.
std::uint16_t port_of(const Handle& socket);
/// Small segments go out at once (TCP_NODELAY); make_pair() does it for both ends.
void set_no_delay(const Handle& handle);
/// Of a socket: room for so many bytes, each way.
void set_buffers(NativeHandle socket, int bytes);

}  // namespace pollux::support
