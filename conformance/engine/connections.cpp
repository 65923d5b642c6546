// SPDX-License-Identifier: MIT
#include "conformance/engine/connections.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "conformance/support/emulator.hpp"

namespace pollux::differential {

namespace {

using support::Handle;
using support::Pair;
using support::PairKind;

constexpr int later_ms = 20;
constexpr int many = 64;  // more than a history connects

int check(int result, const char* what) {
  if (result < 0) throw std::system_error{errno, std::system_category(), what};
  return result;
}

short ready(const Handle& handle, short events, int timeout_ms = 0) {
  pollfd asked{handle.get(), events, 0};
  ::poll(&asked, 1, timeout_ms);
  return asked.revents;
}

int unread(const Handle& handle) {
  int bytes = 0;
  return ::ioctl(handle.get(), FIONREAD, &bytes) == 0 ? bytes : -1;
}

/// Bound to loopback; without a port, to one of its own.
Handle bound_socket(int type, int protocol, std::uint16_t port = 0) {
  Handle made{check(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket")};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = port;
  check(::bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  return made;
}

void connect(const Handle& from, const Handle& to) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const where = reinterpret_cast<sockaddr*>(&address);
  check(::getsockname(to.get(), where, &size), "getsockname");
  if (::connect(from.get(), where, size) < 0 && errno != EINPROGRESS) check(-1, "connect");
}

Pair make_udp() {
  Pair pair{bound_socket(SOCK_DGRAM, 0), bound_socket(SOCK_DGRAM, 0)};
  connect(pair.local, pair.peer);
  connect(pair.peer, pair.local);
  return pair;
}

Pair make_seqpacket() {
  std::array<int, 2> ends{};
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()),
        "socketpair");
  return {Handle{ends[0]}, Handle{ends[1]}};
}

Pair make_fifo() {
  std::string folder = std::filesystem::temp_directory_path() / "pollux-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) check(-1, "mkdtemp");
  const std::string path = folder + "/fifo";
  Pair pair;
  if (::mkfifo(path.c_str(), 0600) == 0) {
    pair.local = Handle{::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    pair.peer = Handle{::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  }
  const int error = errno;
  ::unlink(path.c_str());
  ::rmdir(folder.c_str());
  if (!pair.local || !pair.peer) throw std::system_error{error, std::system_category(), "fifo"};
  return pair;
}

/// `local` is the slave, `peer` the master.
Pair make_terminal() {
  Pair pair;
  pair.peer = Handle{check(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), "openpt")};
  check(::unlockpt(pair.peer.get()), "unlockpt");
  std::array<char, 64> name{};
  if (const int error = ::ptsname_r(pair.peer.get(), name.data(), name.size()); error != 0)
    throw std::system_error{error, std::system_category(), "ptsname"};
  pair.local =
      Handle{check(::open(name.data(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), "slave")};
  termios raw{};
  check(::tcgetattr(pair.local.get(), &raw), "tcgetattr");
  ::cfmakeraw(&raw);
  check(::tcsetattr(pair.local.get(), TCSANOW, &raw), "tcsetattr");
  return pair;
}

Pair swapped(Pair pair) {
  std::swap(pair.local, pair.peer);
  return pair;
}

}  // namespace

Handle& Connections::listener(Kind kind) {
  Handle& listener = kind == Kind::tcp6 ? tcp6_ : kind == Kind::mptcp ? mptcp_ : tcp4_;
  if (!listener && kind == Kind::mptcp) {
    listener = bound_socket(SOCK_STREAM, IPPROTO_MPTCP);
    check(::listen(listener.get(), many), "listen");
  } else if (!listener) {
    listener = support::make_listener(kind == Kind::tcp6 ? PairKind::tcp6 : PairKind::tcp4);
  }
  return listener;
}

Pair Connections::make_tcp(Kind kind) {
  const Handle& at = listener(kind);
  Pair pair;
  if (kind == Kind::mptcp) {
    pair.peer = bound_socket(SOCK_STREAM, IPPROTO_MPTCP);
    connect(pair.peer, at);
  } else {
    pair.peer = support::start_connect(kind == Kind::tcp6 ? PairKind::tcp6 : PairKind::tcp4, at);
  }
  support::set_no_delay(pair.peer);
  pair.local = support::accept_one(at);
  support::set_no_delay(pair.local);
  return pair;
}

Pair Connections::make(Kind kind) {
  switch (shape(kind).family) {
    case Family::unix_stream:
      return support::make_pair(PairKind::unix_stream);
    case Family::pipe: {
      Pair pair = support::make_pair(PairKind::pipe);
      return kind == Kind::pipe_writer ? swapped(std::move(pair)) : std::move(pair);
    }
    case Family::fifo:
      return make_fifo();
    case Family::terminal:
      return kind == Kind::master ? swapped(make_terminal()) : make_terminal();
    case Family::seqpacket:
      return make_seqpacket();
    case Family::udp:
      return make_udp();
    case Family::listener: {
      Pair pair{bound_socket(SOCK_STREAM, 0), {}};
      check(::listen(pair.local.get(), many), "listen");
      return pair;
    }
    case Family::tcp:
    case Family::mptcp:
      break;
  }
  if (kind == Kind::refused) return {support::start_refused_connect(PairKind::tcp4), {}};
  return kind == Kind::connecting ? swapped(make_tcp(kind)) : make_tcp(kind);
}

std::string why_unavailable(Kind kind) {
  if (shape(kind).family == Family::mptcp && !support::has_multipath())
    return "no MPTCP here, or none that can be asked about";
  try {
    static_cast<void>(Connections{}.make(kind));
    return {};
  } catch (const std::system_error& error) {
    return error.what();
  }
}

namespace {

bool keeps_a_peek_offset(PairKind kind) {
  const Handle socket = support::make_socket(kind);
  const int offset = 0;
  return ::setsockopt(socket.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
}

/// Of older kernels, which have them since Linux 5.15, not all pass over such a byte.
bool has_urgent_bytes_like_tcp() {
  const Pair pair = support::make_pair(PairKind::unix_stream);
  return support::write_bytes(pair.peer, "xy") == 2 && write_urgent(pair.peer) == 1 &&
         support::write_bytes(pair.peer, "z") == 1 && support::read_bytes(pair.local) == 2 &&
         support::read_bytes(pair.local) == 1 && write_urgent(pair.peer) == 1 &&
         support::read_bytes(pair.local) == -EAGAIN;
}

}  // namespace

std::string_view why_unavailable(Kind kind, Op op) {
  const Family family = shape(kind).family;
  static const bool tcp_peeks = keeps_a_peek_offset(PairKind::tcp4);
  static const bool unix_peeks = keeps_a_peek_offset(PairKind::unix_stream);
  static const bool shows_packet_mode = support::shows_packet_mode();
  static const bool urges = has_urgent_bytes_like_tcp();
  if (op == Op::peek && family == Family::tcp && !tcp_peeks) return "TCP has no SO_PEEK_OFF here";
  if (op == Op::peek && family == Family::unix_stream && !unix_peeks)
    return "AF_UNIX has no SO_PEEK_OFF here";
  if (op == Op::peer_urgent && family == Family::unix_stream && !urges)
    return "AF_UNIX has no urgent bytes here, or not as TCP has them";
  if (op == Op::packet_mode && !shows_packet_mode)
    return "a terminal does not show here whether it is in packet mode";
  return {};
}

std::string why_unavailable(const History& history) {
  for (const Op op : history.ops) {
    if (const auto why = why_unavailable(history.kind, op); !why.empty()) return std::string{why};
  }
  return why_unavailable(history.kind);
}

bool has_byte(Kind kind, const Handle& handle, bool urgent) {
  // Of what a master reads in packet mode, FIONREAD counts the bytes alone.
  if (shape(kind).family == Family::terminal) return (ready(handle, POLLIN) & POLLIN) != 0;
  char byte = 0;
  if (urgent) return ::recv(handle.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  return support::has_unread(handle);
}

Sight look_at(Kind kind, const Handle& handle) {
  const int patience_ms = shape(kind).family == Family::mptcp ? later_ms : 0;
  const short seen = ready(handle, POLLRDHUP, patience_ms);
  if ((seen & POLLERR) != 0) return Sight::a_failure;
  return (seen & (POLLHUP | POLLRDHUP)) != 0 ? Sight::the_end : Sight::nothing;
}

void await_end(const Handle& handle) {
  if (handle) ready(handle, POLLRDHUP, later_ms);
}
void await_hang_up(const Handle& handle) {
  if (handle) ready(handle, 0, later_ms);
}

Sight look_at_port(std::uint16_t port) {
  try {
    const Handle bound = bound_socket(SOCK_STREAM, 0, port);
    check(::listen(bound.get(), 1), "listen");
    return Sight::the_end;
  } catch (const std::system_error&) {
    return Sight::nothing;
  }
}

std::uint16_t port_of(const Handle& listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return address.sin_port;
}

long write_to(Kind kind, const Handle& from, const Handle& to, std::size_t size) {
  const int before = unread(to);
  const long written = support::write_bytes(from, std::string(size, 'x'));
  // A terminal's bytes are carried over by a thread of the kernel's, MPTCP's by its worker.
  const Family family = shape(kind).family;
  const bool later = family == Family::terminal || family == Family::mptcp;
  if (!later || !to || before < 0 || written <= 0) return written;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{200};
  while (unread(to) >= 0 && unread(to) < before + written && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return written;
}

long accept_and_drop(const Handle& listener) {
  Handle accepted{::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (!accepted) return -errno;
  set_linger_zero(accepted);
  return 1;
}

Handle connect_to(const Handle& listener) {
  Handle connecting{
      check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
  connect(connecting, listener);
  return connecting;
}

long write_urgent(const Handle& handle) {
  const auto count = ::send(handle.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL | MSG_DONTWAIT);
  return count >= 0 ? static_cast<long>(count) : -errno;
}

long read_urgent(const Handle& handle) {
  char byte = 0;
  const auto count = ::recv(handle.get(), &byte, 1, MSG_OOB | MSG_DONTWAIT);
  return count >= 0 ? static_cast<long>(count) : -errno;
}

void set_peek_offset(const Handle& handle) {
  const int from_the_start = 0;
  check(::setsockopt(handle.get(), SOL_SOCKET, SO_PEEK_OFF, &from_the_start, sizeof(int)),
        "SO_PEEK_OFF");
}

long peek(const Handle& handle) {
  char byte = 0;
  const auto count = ::recv(handle.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 ? static_cast<long>(count) : -errno;
}

void set_low_water(const Handle& handle) {
  check(::setsockopt(handle.get(), SOL_SOCKET, SO_RCVLOWAT, &low_water_mark, sizeof(int)),
        "SO_RCVLOWAT");
}

void set_linger_zero(const Handle& handle) {
  const linger at_once{1, 0};
  ::setsockopt(handle.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void set_packet_mode(const Handle& master) {
  const int on = 1;
  check(::ioctl(master.get(), TIOCPKT, &on), "TIOCPKT");
}

void discard_input(const Handle& terminal) {
  ::tcflush(terminal.get(), TCIFLUSH);
}

}  // namespace pollux::differential
