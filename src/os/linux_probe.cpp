// SPDX-License-Identifier: MIT
// The look at a stream that changes nothing, as Linux allows it: poll() shows the peer's FIN and a
// pending error and leaves both where they are, and an epoll set can be waited on like any handle.
#include <cerrno>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pollux/error.hpp>
#include <pollux/probe.hpp>

#include "os/os.hpp"

namespace pollux {

namespace {

bool is_stream_socket(NativeHandle handle, std::error_code& error) noexcept {
  using namespace detail;
  std::uint64_t uncounted = 0;
  if (os::stream_kind(handle, error, uncounted) != StreamKind::socket && !error)
    error = Errc::not_a_stream;
  return !error;
}

}  // namespace

StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept {
  if (!is_stream_socket(stream, error)) return {};
  std::uint64_t uncounted = 0;
  const short seen = detail::os::look(stream, POLLRDHUP, uncounted);
  const bool inbound_over = (seen & POLLRDHUP) != 0;
  const bool both_over = (seen & POLLHUP) != 0;
  if (both_over && !inbound_over) {  // hung up without an end: it was never connected
    error = detail::os::error_code(ENOTCONN);
    return {};
  }
  // Counted after the look: nothing follows a FIN, so that none left means none to come. Not
  // peeked, since a peek takes the error of a reset.
  int unread = 0;
  detail::os::uninterrupted([&] { return ::ioctl(stream, FIONREAD, &unread); });

  StreamState state;
  state.unread = unread > 0;
  // ERR alone may be a notice in the error queue, which is no failure.
  state.failed = both_over && (seen & POLLERR) != 0;
  const bool ended = inbound_over && !state.failed;
  state.peer_closed =
      ended && detail::os::probe_peer_fin(stream, uncounted) != detail::PeerFin::not_received;
  state.end_of_stream = ended && !state.unread;
  state.hangup = state.failed || (both_over && !state.unread);
  return state;
}

EndHandle::EndHandle(NativeHandle stream, std::error_code& error) noexcept {
  if (!is_stream_socket(stream, error)) return;
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  // Edge-triggered: after drain() an end that lasts, or a notice in the error queue, is silent.
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  if (set < 0 || ::epoll_ctl(set, EPOLL_CTL_ADD, stream, &event) != 0) {
    error = detail::os::error_code(errno);
    if (set >= 0) ::close(set);
    return;
  }
  handle_ = set;
}

EndHandle::~EndHandle() {
  if (handle_ != none) ::close(handle_);
}

void EndHandle::drain() const noexcept {
  epoll_event event;
  ::epoll_wait(handle_, &event, 1, 0);
}

}  // namespace pollux
