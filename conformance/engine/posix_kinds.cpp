// SPDX-License-Identifier: MIT
// Kinds of descriptor and operations that POSIX systems have.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "conformance/engine/connections.hpp"
#include "conformance/engine/system_kinds.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/system.hpp"

namespace pollux::differential {

namespace {

using support::Handle;
using support::Pair;
using support::PairKind;

constexpr int later_ms = 20;

int check(int result, const char* what) {
  if (result < 0) throw std::system_error{errno, std::generic_category(), what};
  return result;
}

short ready(const Handle& handle, short events, int timeout_ms = 0) {
  pollfd asked{handle.get(), events, 0};
  ::poll(&asked, 1, timeout_ms);
  return asked.revents;
}

/// Over MPTCP, bound to loopback, with a port of its own.
Handle bound_mptcp_socket() {
  Handle made = support::make_socket(PairKind::tcp4, support::Protocol::multipath);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  return made;
}

Pair make_seqpacket() {
  std::optional<Pair> pair = support::make_packet_pair();
  if (!pair)
    throw std::system_error{std::make_error_code(std::errc::protocol_not_supported), "seqpacket"};
  return std::move(*pair);
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
  if (!pair.local || !pair.peer) throw std::system_error{error, std::generic_category(), "fifo"};
  return pair;
}

/// `local` is the slave, `peer` the master.
Pair make_terminal() {
  Pair pair;
  pair.peer = support::open_master();
  std::array<char, 64> name{};
  if (const int error = ::ptsname_r(pair.peer.get(), name.data(), name.size()); error != 0)
    throw std::system_error{error, std::generic_category(), "ptsname"};
  pair.local =
      Handle{check(::open(name.data(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), "slave")};
  termios raw{};
  check(::tcgetattr(pair.local.get(), &raw), "tcgetattr");
  ::cfmakeraw(&raw);
  check(::tcsetattr(pair.local.get(), TCSANOW, &raw), "tcsetattr");
  return pair;
}

}  // namespace

std::span<const Kind> kinds_of_this_system() noexcept {
  return all_kinds();
}

Handle make_mptcp_listener() {
  Handle listener = bound_mptcp_socket();
  check(::listen(listener.get(), most_callers), "listen");
  return listener;
}

Handle connect_mptcp(const Handle& listener) {
  Handle from = bound_mptcp_socket();
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const where = reinterpret_cast<sockaddr*>(&address);
  check(::getsockname(listener.get(), where, &size), "getsockname");
  if (::connect(from.get(), where, size) < 0 && errno != EINPROGRESS) check(-1, "connect");
  return from;
}

Pair make_of_this_system(Kind kind) {
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
    default:
      return make_seqpacket();
  }
}

namespace {

bool keeps_a_peek_offset(PairKind kind) {
  return support::set_peek_offset(support::make_socket(kind), 0);
}

/// Of older kernels, which have them since Linux 5.15, not all pass over such a byte.
bool has_urgent_bytes_like_tcp() {
  const Pair pair = support::make_pair(PairKind::unix_stream);
  return support::write_bytes(pair.peer, "xy") == 2 && support::write_urgent(pair.peer) == 1 &&
         support::write_bytes(pair.peer, "z") == 1 && support::read_bytes(pair.local) == 2 &&
         support::read_bytes(pair.local) == 1 && support::write_urgent(pair.peer) == 1 &&
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

bool has_byte(Kind kind, const Handle& handle, bool urgent) {
  // Of what a master reads in packet mode, FIONREAD counts the bytes alone.
  if (shape(kind).family == Family::terminal) return (ready(handle, POLLIN) & POLLIN) != 0;
  char byte = 0;
  if (urgent) return ::recv(handle.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  return support::has_unread(handle);
}

void await_arrival(const Handle&) {}

void await_end(const Handle& handle) {
  if (handle) support::look_at_other_end(handle, std::chrono::milliseconds{later_ms});
}
void await_hang_up(const Handle& handle) {
  if (handle) ready(handle, 0, later_ms);
}

void acknowledge_at_once([[maybe_unused]] const Handle& handle) {
#if defined(TCP_QUICKACK)
  const int now = 1;  // of what is no such socket: no matter
  ::setsockopt(handle.get(), IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
#endif
}

void set_peek_offset(const Handle& handle) {
  if (!support::set_peek_offset(handle, 0)) check(-1, "SO_PEEK_OFF");
}

void set_low_water(const Handle& handle) {
  check(::setsockopt(handle.get(), SOL_SOCKET, SO_RCVLOWAT, &low_water_mark, sizeof(int)),
        "SO_RCVLOWAT");
}

void set_packet_mode(const Handle& master) {
  const int on = 1;
  check(::ioctl(master.get(), TIOCPKT, &on), "TIOCPKT");
}

void discard_input(const Handle& terminal) {
  ::tcflush(terminal.get(), TCIFLUSH);
}

}  // namespace pollux::differential
