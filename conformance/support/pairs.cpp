// SPDX-License-Identifier: MIT
#include "conformance/support/pairs.hpp"

#include "conformance/support/emulator.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace pollux::support {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::system_category(), what};
}

int check(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
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

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Loopback with port 0, or for AF_UNIX "choose an abstract name" (unix(7), autobind).
Address any_address(PairKind kind) {
  Address address;
  address.storage.ss_family = static_cast<sa_family_t>(family(kind));
  address.size = sizeof(sa_family_t);
  if (kind == PairKind::tcp4) {
    auto& in = reinterpret_cast<sockaddr_in&>(address.storage);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof in;
  } else if (kind == PairKind::tcp6) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    in6.sin6_addr = in6addr_loopback;
    address.size = sizeof in6;
  }
  return address;
}

Address address_of(const Handle& handle) {
  Address address;
  address.size = sizeof address.storage;
  check(::getsockname(handle.get(), address.get(), &address.size), "getsockname");
  return address;
}

void connect_to(const Handle& handle, Address address) {
  if (::connect(handle.get(), address.get(), address.size) < 0 && errno != EINPROGRESS)
    fail("connect");
}

}  // namespace

void Handle::close() noexcept {
  if (handle_ >= 0) ::close(std::exchange(handle_, -1));
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

bool has_multipath() {
  const Handle socket{
      ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, static_cast<int>(Protocol::multipath))};
  if (!socket || emulator().empty()) return static_cast<bool>(socket);
  // An emulator may know nothing of MPTCP_INFO, and answer for one of the TCP connections instead.
  constexpr int level_mptcp = 284;
  constexpr int mptcp_info = 1;
  char info[256];
  socklen_t size = sizeof info;
  return ::getsockopt(socket.get(), level_mptcp, mptcp_info, info, &size) == 0;
}

Handle make_socket(PairKind kind, Protocol protocol) {
  return Handle{check(::socket(family(kind), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                               static_cast<int>(protocol)),
                      "socket")};
}

Handle make_listener(PairKind kind, Protocol protocol) {
  Handle listener = make_socket(kind, protocol);
  Address address = any_address(kind);
  check(::bind(listener.get(), address.get(), address.size), "bind");
  check(::listen(listener.get(), 8), "listen");
  return listener;
}

Handle start_connect(PairKind kind, const Handle& listener, Protocol protocol) {
  Handle socket = make_socket(kind, protocol);
  connect_to(socket, address_of(listener));
  return socket;
}

Handle start_refused_connect(PairKind kind) {
  // A bound socket that does not listen keeps the port, so that nobody else takes it meanwhile.
  Handle holder = make_socket(kind);
  Address address = any_address(kind);
  check(::bind(holder.get(), address.get(), address.size), "bind");
  Handle socket = make_socket(kind);
  connect_to(socket, address_of(holder));
  return socket;
}

Handle accept_one(const Handle& listener) {
  pollfd ready{listener.get(), POLLIN, 0};
  if (::poll(&ready, 1, 5000) != 1) {
    errno = ETIMEDOUT;
    fail("accept");
  }
  return Handle{
      check(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept")};
}

Pair make_pair(PairKind kind, Protocol protocol) {
  std::array<int, 2> ends{};
  if (kind == PairKind::pipe) {
    check(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), "pipe");
    return {Handle{ends[0]}, Handle{ends[1]}};
  }
  if (kind == PairKind::unix_stream) {
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()),
          "socketpair");
    return {Handle{ends[0]}, Handle{ends[1]}};
  }
  const Handle listener = make_listener(kind, protocol);
  Handle peer = start_connect(kind, listener, protocol);
  Handle local = accept_one(listener);
  pollfd connected{peer.get(), POLLOUT, 0};
  if (::poll(&connected, 1, 5000) != 1) {
    errno = ETIMEDOUT;
    fail("connect");
  }
  set_no_delay(local);
  set_no_delay(peer);
  return {std::move(local), std::move(peer)};
}

long write_bytes(const Handle& handle, std::string_view bytes) {
  auto count = ::send(handle.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // Pipes have no send(); tests that break one ignore SIGPIPE.
  if (count < 0 && errno == ENOTSOCK) count = ::write(handle.get(), bytes.data(), bytes.size());
  return count >= 0 ? static_cast<long>(count) : -errno;
}

long read_bytes(const Handle& handle, std::size_t most) {
  std::array<char, 65536> buffer;
  const auto count = ::read(handle.get(), buffer.data(), std::min(most, buffer.size()));
  return count >= 0 ? static_cast<long>(count) : -errno;
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

void shutdown_read(const Handle& handle) {
  check(::shutdown(handle.get(), SHUT_RD), "SHUT_RD");
}
void shutdown_write(const Handle& handle) {
  check(::shutdown(handle.get(), SHUT_WR), "SHUT_WR");
}
void shutdown_both(const Handle& handle) {
  check(::shutdown(handle.get(), SHUT_RDWR), "SHUT_RDWR");
}

void reset_connection(Handle& handle) {
  const linger at_once{1, 0};
  check(::setsockopt(handle.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
  handle.close();
}

namespace {

/// Of each packet that arrives the socket takes so many bytes.
void take_of_packets(const Handle& handle, std::uint32_t bytes) {
  sock_filter rule{BPF_RET | BPF_K, 0, 0, bytes};
  const sock_fprog program{1, &rule};
  check(::setsockopt(handle.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
        "SO_ATTACH_FILTER");
}

}  // namespace

void play_dead(const Handle& handle) {
  take_of_packets(handle, 0);
}

// Not SO_DETACH_FILTER, which qemu-user does not have: a filter takes the place of the one before.
void come_alive(const Handle& handle) {
  take_of_packets(handle, 0xffffffff);
}

Handle duplicate(const Handle& handle) {
  return Handle{check(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0), "dup")};
}

bool has_unread(const Handle& handle) {
  int unread = 0;
  return ::ioctl(handle.get(), FIONREAD, &unread) == 0 && unread > 0;
}

void set_no_delay(const Handle& handle) {
  const int on = 1;
  check(::setsockopt(handle.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator listing{"/proc/self/fd"};
  // The listing itself holds one open.
  return static_cast<std::size_t>(std::distance(begin(listing), end(listing))) - 1;
}

}  // namespace pollux::support
