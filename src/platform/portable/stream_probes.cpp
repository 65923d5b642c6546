// SPDX-License-Identifier: MIT
// What POSIX systems without a file of their own get: a pipe to wake with, and the TCP state of
// those that show it. (Linux gets it with POLLUX_PORTABLE_SYSTEM, so that it is built and tested.)
#include <cerrno>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"
#include "platform/tcp_states.hpp"

namespace pollux {

std::error_code WakeHandle::open() noexcept {
  int ends[2];
  if (::pipe(ends) != 0) return detail::platform::error_code(errno);
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  read_ = ends[0];
  write_ = ends[1];
  return {};
}

namespace detail::platform {

namespace {

/// The option of IPPROTO_TCP whose answer begins with the state, in one byte, and the numbers in
/// it. Each of these kernels copies as much of the answer as there is room for.
struct StateOption {
  int name;
  TcpStates numbers;
};
#if defined(__linux__)
constexpr StateOption state_option{TCP_INFO, linux_tcp_states};
static_assert(linux_tcp_states.listening == TCP_LISTEN);
static_assert(linux_tcp_states.syn_sent == TCP_SYN_SENT);
static_assert(linux_tcp_states.syn_received == TCP_SYN_RECV);
static_assert(linux_tcp_states.close_wait == TCP_CLOSE_WAIT);
static_assert(linux_tcp_states.closing == TCP_CLOSING);
static_assert(linux_tcp_states.last_ack == TCP_LAST_ACK);
static_assert(linux_tcp_states.time_wait == TCP_TIME_WAIT);
static_assert(linux_tcp_states.closed == TCP_CLOSE);
#elif defined(TCP_CONNECTION_INFO)  // macOS
constexpr StateOption state_option{TCP_CONNECTION_INFO, bsd_tcp_states};
#elif defined(__FreeBSD__)
constexpr StateOption state_option{TCP_INFO, bsd_tcp_states};
#else
constexpr StateOption state_option{-1, bsd_tcp_states};  // which every kernel refuses
#endif

/// Whether the socket speaks TCP, and not MPTCP: that answers for one of its connections.
bool is_plain_tcp([[maybe_unused]] System& system, [[maybe_unused]] NativeHandle handle) noexcept {
#if defined(SO_PROTOCOL)
  int protocol = 0;
  socklen_t size = sizeof protocol;
  const auto ask = [&] { return ::getsockopt(handle, SOL_SOCKET, SO_PROTOCOL, &protocol, &size); };
  return system.uninterrupted(ask) != 0 || protocol == IPPROTO_TCP;
#else
  return true;
#endif
}

/// What `says` makes of the state, or else `unknown`: of another protocol, on another system.
template <class Found, class Says>
Answer<Found> by_state(System& system, NativeHandle handle, Found unknown, Says says) noexcept {
  std::uint8_t state = 0;
  socklen_t size = sizeof state;
  const auto ask = [&] {
    return ::getsockopt(handle, IPPROTO_TCP, state_option.name, &state, &size);
  };
  if (!is_plain_tcp(system, handle)) return {unknown};
  if (system.uninterrupted(ask) != 0)
    return is_probes_own(errno) ? no_answer<Found>(errno) : Answer<Found>{unknown};
  return {says(state_option.numbers, state)};
}

}  // namespace

Answer<PeerFin> System::probe_peer_fin(NativeHandle handle, StreamType, RawReady known) noexcept {
  const auto answer = by_state(*this, handle, PeerFin::untellable, peer_fin);
#if defined(__linux__)
  // FINs both ways, or a reset: that leaves an error, which poll shows and leaves where it is. (On
  // the BSDs it shows neither, and so a reset cannot be ruled out.)
  if (answer.found == PeerFin::closed && !any(known, RawReady::err)) {
    const Sight sight = look(handle, 0);
    if (sight.error == 0 && (sight.seen & POLLERR) == 0) return {PeerFin::received};
  }
#else
  static_cast<void>(known);
#endif
  return answer;
}

Answer<Standing> System::probe_standing(NativeHandle handle, StreamType, RawReady known) noexcept {
  if (!any(known, RawReady::err)) {
    // A backend that reports both as one may mean the hang-up, which is there in every state.
    const Sight sight = look(handle, 0);
    if (sight.error != 0) return no_answer<Standing>(sight.error);
    if ((sight.seen & POLLHUP) != 0) return {Standing::doubtful};
  }
  return by_state(*this, handle, Standing::doubtful, standing);
}

void System::examine_socket(NativeHandle handle, StreamType& type, std::error_code&) noexcept {
  // Of a socket that was never connected the BSDs and macOS report nothing, ever. One that is
  // connecting has no peer yet either, and is asked about once for nothing.
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  ++calls_;
  type.set(Quirk::silent, ::getpeername(handle, reinterpret_cast<sockaddr*>(&peer), &size) != 0);
}

void System::learn_fin_number(NativeHandle, StreamType&) noexcept {}

NativeHandle HandlePoller::open_set() noexcept {
  errno = ENOSYS;
  return no_handle;
}

Sight HandlePoller::look_by_set(NativeHandle, NativeHandle, short) noexcept {
  return {0, ENOSYS};
}

}  // namespace detail::platform

}  // namespace pollux
