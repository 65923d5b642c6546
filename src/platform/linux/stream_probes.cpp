// SPDX-License-Identifier: MIT
// What Linux has of its own: the TCP state, the eventfd, and epoll's own word on devices.
#include <cerrno>
#include <optional>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"

namespace pollux {

std::error_code WakeHandle::open() noexcept {
  const int made = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (made < 0) return detail::platform::error_code(errno);
  read_ = write_ = made;
  return {};
}

namespace detail::platform {

NativeHandle HandlePoller::open_set() noexcept {
  ++calls_;
  return ::epoll_create1(EPOLL_CLOEXEC);
}

Sight HandlePoller::look_by_set(NativeHandle set, NativeHandle handle, short events) noexcept {
  epoll_event event{};
  event.events = static_cast<std::uint16_t>(events);  // the same numbers: epoll_ctl(2)
  ++calls_;
  if (::epoll_ctl(set, EPOLL_CTL_ADD, handle, &event) != 0)
    return errno == EBADF ? Sight{POLLNVAL} : Sight{0, errno};
  const int count = uninterrupted([&] { return ::epoll_wait(set, &event, 1, 0); }, calls_);
  const int error = count < 0 ? errno : 0;
  epoll_event nothing{};
  ++calls_;
  ::epoll_ctl(set, EPOLL_CTL_DEL, handle, &nothing);
  return {count > 0 ? static_cast<short>(event.events) : short{0}, error};
}

namespace {

constexpr int protocol_mptcp =
    262;  // this, and the next two, which not every header has: Linux 5.6
constexpr int level_mptcp = 284;
constexpr int mptcp_info_option = 1;

/// The beginning of the kernel's mptcp_info, which has grown ever since.
struct MptcpInfo {
  std::uint8_t counts[8];
  std::uint32_t flags;
  std::uint32_t token;
  std::uint64_t write_seq;
  std::uint64_t snd_una;
  std::uint64_t rcv_nxt;
  std::uint8_t more_counts[4];
  std::uint32_t retransmits;
  std::uint64_t bytes_retrans;
  std::uint64_t bytes_sent;
  std::uint64_t bytes_received;
};
static_assert(sizeof(MptcpInfo) == 72);

/// getsockopt(); how much was filled in, or -1 and errno.
template <class Value>
int get_option(System& system, NativeHandle handle, int level, int name, Value& value) noexcept {
  socklen_t size = sizeof value;
  const auto get = [&] { return ::getsockopt(handle, level, name, &value, &size); };
  return system.uninterrupted(get) == 0 ? static_cast<int>(size) : -1;
}

/// The TCP state; -1 and errno if this is no TCP (AF_UNIX: EOPNOTSUPP).
int tcp_state(System& system, NativeHandle handle) noexcept {
  // The first byte of tcp_info; the kernel fills as much as fits (tcp(7)).
  std::uint8_t state = 0;
  return get_option(system, handle, IPPROTO_TCP, TCP_INFO, state) < 0 ? -1 : state;
}

/// Of a connection that is one of several, or is to be.
struct FinNumber {
  bool is_answered = false;  ///< it is, and the connection is made
  /// Whether the number of the next byte is odd, not counting the bytes that were received: the
  /// peer's FIN counts as a byte (RFC 8684, 3.3.3), and so changes it once. Unknown before Linux
  /// 6.5.
  std::optional<bool> is_odd;
};

FinNumber fin_number(System& system, NativeHandle handle) noexcept {
  constexpr std::uint32_t remote_key_received = 2;
  MptcpInfo info{};
  const int size = get_option(system, handle, level_mptcp, mptcp_info_option, info);
  if (size < 0 || (info.flags & remote_key_received) == 0) return {};
  if (size < static_cast<int>(sizeof info)) return {true, std::nullopt};
  return {true, ((info.rcv_nxt - info.bytes_received) & 1) != 0};
}

/// The answer that a TCP state gives.
Answer<PeerFin> fin_of_tcp(System& system, NativeHandle handle, RawReady known) noexcept {
  switch (tcp_state(system, handle)) {
    case -1:
      return is_probes_own(errno) ? no_answer<PeerFin>(errno)
                                  : Answer<PeerFin>{PeerFin::untellable};
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK:
    case TCP_CLOSING:
    case TCP_TIME_WAIT:
      return {PeerFin::received};
    case TCP_CLOSE: {
      // FINs both ways, or a reset: that leaves an error, which a look shows and leaves where it
      // is.
      if (any(known, RawReady::err)) return {PeerFin::closed};
      const Sight sight = system.look(handle, 0);
      return {sight.error != 0 || (sight.seen & POLLERR) != 0 ? PeerFin::closed
                                                              : PeerFin::received};
    }
    default:
      return {PeerFin::not_received};
  }
}

/// A peek that copies nothing, at up to `most` bytes: how many there are, or -1 and errno. It is
/// called by its number, since what stands in for recv() in a sanitized program wants a buffer.
long count_by_peek(System& system, NativeHandle handle, int most) noexcept {
  const auto peek = [&] {
    return ::syscall(SYS_recvfrom, handle, nullptr, static_cast<std::size_t>(most),
                     MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, nullptr, nullptr);
  };
  return system.uninterrupted(peek);
}

}  // namespace

void System::examine_socket(NativeHandle handle, StreamType& type,
                            std::error_code& error) noexcept {
  const auto ask = [&](int name, int absent) {
    int value = absent;
    if (get_option(*this, handle, SOL_SOCKET, name, value) >= 0) return value;
    if (is_probes_own(errno)) error = error_code(errno);
    return absent;  // which not every family has
  };
  const int protocol = ask(SO_PROTOCOL, 0);
  for (const Quirk quirk : {Quirk::multipath, Quirk::unasked})
    type.set(quirk, protocol == protocol_mptcp);
  if (error || protocol == IPPROTO_TCP || type.has(Quirk::multipath)) return;
  type.set(Quirk::urgent, ask(SO_DOMAIN, AF_UNIX) == AF_UNIX);
  if (type.has(Quirk::urgent) || error) return;
  // AF_VSOCK shows a socket that was never connected as ready to be written, and nothing else; one
  // that is connecting shows nothing.
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  ++calls_;
  if (::getpeername(handle, reinterpret_cast<sockaddr*>(&peer), &size) == 0 || errno != ENOTCONN)
    return;
  const Sight sight = look(handle, POLLOUT);
  if (sight.seen == POLLOUT) error = error_code(ENOTCONN);
}

void System::learn_fin_number(NativeHandle handle, StreamType& type) noexcept {
  const FinNumber number = fin_number(*this, handle);
  if (!number.is_answered) {
    // Fallen back to plain TCP (the peer speaks nothing else), or not connected yet.
    const int state = tcp_state(*this, handle);
    if (state == -1 || state == TCP_SYN_SENT || state == TCP_CLOSE) return;
    type.set(Quirk::multipath, false);
    type.set(Quirk::unasked, false);
    return;
  }
  type.set(Quirk::unasked, false);
  // Looked at afterwards: an end that is not there then was not there before.
  const Sight sight = look(handle, POLLRDHUP);
  if (sight.error != 0 || sight.seen != 0 || !number.is_odd) return;
  type.set(Quirk::numbered);
  type.set(Quirk::odd, *number.is_odd);
}

Answer<PeerFin> System::probe_peer_fin(NativeHandle handle, StreamType type,
                                       RawReady known) noexcept {
  if (!type.has(Quirk::multipath)) return fin_of_tcp(*this, handle, known);
  // The count has the FIN in it, as long as a byte before it is unread, and a peek has not. (An end
  // of whatever cause counts as one where nothing is unread.)
  int counted = 0;
  if (uninterrupted([&] { return ::ioctl(handle, FIONREAD, &counted); }) != 0)
    return is_probes_own(errno) ? no_answer<PeerFin>(errno) : Answer<PeerFin>{PeerFin::untellable};
  if (counted == 0) return {PeerFin::not_received};
  const long peeked = count_by_peek(*this, handle, counted);
  if (peeked > 0) return {counted > peeked ? PeerFin::received : PeerFin::not_received};
  if (peeked < 0 && errno != EAGAIN)
    return is_probes_own(errno) ? no_answer<PeerFin>(errno)
                                : Answer<PeerFin>{PeerFin::closed, Outcome::answered, errno};
  const FinNumber number = fin_number(*this, handle);
  if (!number.is_answered) return fin_of_tcp(*this, handle, known);
  if (!number.is_odd || !type.has(Quirk::numbered)) return {PeerFin::untellable};
  return {*number.is_odd != type.has(Quirk::odd) ? PeerFin::received : PeerFin::not_received};
}

Answer<Standing> System::probe_standing(NativeHandle handle, StreamType type,
                                        RawReady known) noexcept {
  if (!any(known, RawReady::err)) {
    // A backend that reports both as one may mean the hang-up, which is there in every state.
    const Sight sight = look(handle, 0);
    if (sight.error != 0) return no_answer<Standing>(sight.error);
    if ((sight.seen & POLLHUP) != 0) return {Standing::doubtful};
  }
  // A connection that has failed is in no state any more; one that is not made yet can only fail.
  switch (tcp_state(*this, handle)) {
    case -1:
      return is_probes_own(errno) ? no_answer<Standing>(errno)
                                  : Answer<Standing>{Standing::doubtful};
    case TCP_CLOSE:
    case TCP_SYN_SENT:
    case TCP_SYN_RECV:
    case TCP_LISTEN:
      return {Standing::doubtful};
    default:
      break;
  }
  if (type.has(Quirk::multipath)) return {Standing::good};
  // What is built upon it (TLS in the kernel) fails by itself.
  char upper[16] = {};
  const int size = get_option(*this, handle, IPPROTO_TCP, TCP_ULP, upper);
  return {size > 0 ? Standing::doubtful : Standing::good};
}

}  // namespace detail::platform

}  // namespace pollux
