// SPDX-License-Identifier: MIT
// What all systems do alike, but for the words of native_sockets.hpp.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <system_error>

#include "conformance/support/system.hpp"
#include "conformance/support/tcp_pair.hpp"
#include "conformance/support/unix_paths.hpp"
#include "native_sockets.hpp"

namespace pollux::support {

namespace {

[[noreturn]] void fail(const char* what, int error = native::last_error()) {
  throw std::system_error{error, std::generic_category(), what};
}

void check(int result, const char* what) {
  if (result < 0) fail(what);
}
Handle checked(NativeHandle made, const char* what) {
  if (made == no_handle) fail(what);
  return Handle{made};
}

int family(PairKind kind) {
  switch (kind) {
    case PairKind::tcp4:
      return AF_INET;
    case PairKind::tcp6:
      return AF_INET6;
    case PairKind::unix_stream:
    case PairKind::pipe:
      break;
  }
  return AF_UNIX;
}

struct Name {
  sockaddr_storage storage{};
  native::Length size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Loopback with port 0, or for AF_UNIX a path that nobody has.
Name any_address(PairKind kind) {
  Name address;
  if (family(kind) == AF_UNIX) {
    address.size = native::set_unix_address(address.storage, fresh_unix_path());
    return address;
  }
  address.storage.ss_family = static_cast<decltype(address.storage.ss_family)>(family(kind));
  if (kind == PairKind::tcp4) {
    auto& in = reinterpret_cast<sockaddr_in&>(address.storage);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof in;
  } else {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    in6.sin6_addr = in6addr_loopback;
    address.size = sizeof in6;
  }
  return address;
}

Name name_of(const Address& address) {
  Name name;
  name.size = static_cast<native::Length>(address.size());
  std::memcpy(&name.storage, address.data(), address.size());
  return name;
}

Name address_of(const Handle& handle) {
  Name address;
  address.size = sizeof address.storage;
  check(::getsockname(handle.get(), address.get(), &address.size), "getsockname");
  return address;
}

void connect_to(const Handle& handle, Name address) {
  if (::connect(handle.get(), address.get(), address.size) < 0 &&
      !native::is_under_way(native::last_error()))
    fail("connect");
}

/// Bound to loopback, with a port of its own.
Handle bound_socket(PairKind kind, int type) {
  Handle made = checked(native::open_socket(family(kind), type, 0), "socket");
  Name address = any_address(kind);
  check(::bind(made.get(), address.get(), address.size), "bind");
  return made;
}

long outcome_of(long count) {
  return count >= 0 ? count : -native::last_error();
}

}  // namespace

Address fresh_unix_address() {
  static const auto mine = std::random_device{}();
  static int count = 0;
  const std::string path = fresh_unix_path();
  if (!path.empty()) return Address{"unix:" + path};
  return Address{"unix:@pollux-" + std::to_string(mine) + '-' + std::to_string(++count)};
}

std::string_view to_string(PairKind kind) noexcept {
  switch (kind) {
    case PairKind::tcp4:
      return "tcp4";
    case PairKind::tcp6:
      return "tcp6";
    case PairKind::unix_stream:
      return "unix";
    case PairKind::pipe:
      return "pipe";
  }
  return "";
}

bool is_available(PairKind kind) noexcept {
  return std::ranges::count(available_pair_kinds(), kind) > 0;
}

Handle make_socket(PairKind kind, Protocol protocol) {
  return checked(native::open_socket(family(kind), SOCK_STREAM, static_cast<int>(protocol)),
                 "socket");
}

Handle make_listener(PairKind kind, Protocol protocol, int backlog) {
  Handle listener = make_socket(kind, protocol);
  Name address = any_address(kind);
  check(::bind(listener.get(), address.get(), address.size), "bind");
  check(::listen(listener.get(), backlog), "listen");
  return listener;
}

Handle start_connect(PairKind kind, const Handle& listener, Protocol protocol) {
  Handle socket = make_socket(kind, protocol);
  connect_to(socket, address_of(listener));
  return socket;
}

Handle start_connect(const Address& address) {
  const Name name = name_of(address);
  Handle socket = checked(native::open_socket(name.storage.ss_family, SOCK_STREAM, 0), "socket");
  connect_to(socket, name);
  return socket;
}

Handle bind_listener(const Address& address) {
  Name name = name_of(address);
  Handle socket = checked(native::open_socket(name.storage.ss_family, SOCK_STREAM, 0), "socket");
  check(::bind(socket.get(), name.get(), name.size), "bind");
  check(::listen(socket.get(), 8), "listen");
  return socket;
}

bool sends_at_once(NativeHandle handle) {
  int value = 0;
  native::Length size = sizeof value;
  check(::getsockopt(handle, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char*>(&value), &size),
        "getsockopt");
  return value != 0;
}

Handle start_refused_connect(PairKind kind) {
  // A bound socket that does not listen keeps the port, so that nobody else takes it meanwhile.
  Handle holder = make_socket(kind);
  Name address = any_address(kind);
  check(::bind(holder.get(), address.get(), address.size), "bind");
  Handle socket = make_socket(kind);
  connect_to(socket, address_of(holder));
  return socket;
}

Handle accept_one(const Handle& listener) {
  if (!await(listener, Await::readable, std::chrono::seconds{5})) fail("accept", ETIMEDOUT);
  return checked(native::accept(listener.get()), "accept");
}

Handle accept_now(const Handle& listener, int& error) {
  Handle accepted{native::accept(listener.get())};
  error = accepted ? 0 : native::last_error();
  return accepted;
}

Handle make_mailbox(PairKind kind) {
  return bound_socket(kind, SOCK_DGRAM);
}

Pair make_udp_pair() {
  Pair pair{make_mailbox(PairKind::tcp4), make_mailbox(PairKind::tcp4)};
  connect_to(pair.local, address_of(pair.peer));
  connect_to(pair.peer, address_of(pair.local));
  return pair;
}

Pair make_tcp_pair(PairKind kind, Protocol protocol) {
  const Handle listener = make_listener(kind, protocol);
  Handle peer = start_connect(kind, listener, protocol);
  Handle local = accept_one(listener);
  if (!await(peer, Await::writable, std::chrono::seconds{5})) fail("connect", ETIMEDOUT);
  set_no_delay(local);
  set_no_delay(peer);
  return {std::move(local), std::move(peer)};
}

std::size_t drain(const Handle& handle, long* last) {
  std::size_t total = 0;
  long count = 0;
  while ((count = read_bytes(handle)) > 0) total += static_cast<std::size_t>(count);
  if (last != nullptr) *last = count;
  return total;
}

std::size_t fill(const Handle& handle) {
  const std::string block(65536, 'x');
  std::size_t total = 0;
  long count = 0;
  while ((count = write_bytes(handle, block)) > 0) total += static_cast<std::size_t>(count);
  return total;
}

Handle make_deserted_mailbox() {
  Handle local = checked(native::open_socket(AF_INET, SOCK_DGRAM, 0), "socket");
  Handle gone = make_mailbox(PairKind::tcp4);
  const Name address = address_of(gone);
  gone.close();
  connect_to(local, address);
  return local;
}

long write_urgent(const Handle& handle) {
  return outcome_of(native::send(handle.get(), "!", 1, MSG_OOB));
}

long read_urgent(const Handle& handle) {
  char byte = 0;
  return outcome_of(native::receive(handle.get(), &byte, 1, MSG_OOB));
}

long peek(const Handle& handle) {
  char byte = 0;
  return outcome_of(native::receive(handle.get(), &byte, 1, MSG_PEEK));
}

long write_nothing(const Handle& handle) {
  return outcome_of(native::send(handle.get(), "", 0, 0));
}

long shut_down(const Handle& handle, Direction direction) {
  constexpr int how[] = {native::shut_read, native::shut_write, native::shut_both};
  return outcome_of(::shutdown(handle.get(), how[static_cast<std::size_t>(direction)]));
}
void shutdown_read(const Handle& handle) {
  check(::shutdown(handle.get(), native::shut_read), "SHUT_RD");
}
void shutdown_write(const Handle& handle) {
  check(::shutdown(handle.get(), native::shut_write), "SHUT_WR");
}
void shutdown_both(const Handle& handle) {
  check(::shutdown(handle.get(), native::shut_both), "SHUT_RDWR");
}

void set_linger_zero(const Handle& handle) {
  linger at_once{};
  at_once.l_onoff = 1;
  native::set_option(handle.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void reset_connection(Handle& handle) {
  set_linger_zero(handle);
  handle.close();
}

bool has_unread(const Handle& handle) {
  return unread_bytes(handle) > 0;
}

long unread_bytes(const Handle& handle) {
  return outcome_of(native::unread(handle.get()));
}

int pending_error(const Handle& handle) {
  int error = -1;
  native::Length size = sizeof error;
  native::get_option(handle.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return native::error_of(error);
}

void set_no_delay(const Handle& handle) {
  const int on = 1;
  check(native::set_option(handle.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

void set_buffers(NativeHandle socket, int bytes) {
  for (const int buffer : {SO_RCVBUF, SO_SNDBUF})
    check(native::set_option(socket, SOL_SOCKET, buffer, &bytes, sizeof bytes), "SO_RCVBUF");
}

std::uint16_t port_of(const Handle& socket) {
  const Name address = address_of(socket);
  return reinterpret_cast<const sockaddr_in&>(address.storage).sin_port;
}

bool is_free(std::uint16_t port) {
  const Handle fresh{native::open_socket(AF_INET, SOCK_STREAM, 0)};
  Name address = any_address(PairKind::tcp4);
  reinterpret_cast<sockaddr_in&>(address.storage).sin_port = port;
  return ::bind(fresh.get(), address.get(), address.size) == 0 && ::listen(fresh.get(), 1) == 0;
}

BoundAddress::BoundAddress(const Handle& bound) {
  Name address = address_of(bound);
  static_assert(sizeof name_ >= sizeof address.storage);
  std::memcpy(name_, &address.storage, sizeof address.storage);
  size_ = static_cast<int>(address.size);
  native::Length size = sizeof type_;
  native::get_option(bound.get(), SOL_SOCKET, SO_TYPE, &type_, &size);
}

Handle BoundAddress::bind() const {
  const auto* name = reinterpret_cast<const sockaddr*>(name_);
  Handle fresh{native::open_socket(name->sa_family, type_, 0)};
  if (name->sa_family == AF_UNIX) release_unix_path(name, type_);
  if (::bind(fresh.get(), name, static_cast<native::Length>(size_)) != 0) return {};
  if (type_ == SOCK_STREAM && ::listen(fresh.get(), 16) != 0) return {};
  return fresh;
}

}  // namespace pollux::support
