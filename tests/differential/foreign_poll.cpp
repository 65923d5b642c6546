// SPDX-License-Identifier: MIT
#include "differential/foreign_poll.hpp"

#include <cerrno>
#include <cstdint>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "poll/poll_backend.hpp"

namespace pollux::differential {

namespace {

/// What a descriptor is and the state it is in, by Linux's own word.
struct Truth {
  bool is_socket = false;
  bool is_pipe = false;
  short bits = 0;  ///< IN, OUT, RDHUP, HUP, ERR
  bool unread = false;
  bool write_over = false;  ///< our own FIN is sent, or nobody will ever read

  bool in() const { return (bits & POLLIN) != 0; }
  bool out() const { return (bits & POLLOUT) != 0; }
  bool read_over() const { return (bits & (POLLRDHUP | POLLHUP | POLLERR)) != 0; }
  bool hup() const { return (bits & POLLHUP) != 0; }
  bool err() const { return (bits & POLLERR) != 0; }
};

bool tcp_write_over(int handle, bool& is_tcp) {
  std::uint8_t state = 0;
  socklen_t size = sizeof state;
  is_tcp = ::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &state, &size) == 0;
  return is_tcp && state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT && state != TCP_SYN_SENT;
}

Truth look_at(int handle) {
  Truth truth;
  pollfd look{handle, POLLIN | POLLOUT | POLLRDHUP, 0};
  ::poll(&look, 1, 0);
  truth.bits = look.revents;
  int unread = 0;
  truth.unread = ::ioctl(handle, FIONREAD, &unread) == 0 && unread > 0;
  struct stat status {};
  ::fstat(handle, &status);
  truth.is_socket = S_ISSOCK(status.st_mode);
  truth.is_pipe = S_ISFIFO(status.st_mode);
  if (truth.is_socket) {
    bool is_tcp = false;
    truth.write_over = tcp_write_over(handle, is_tcp);
    // A zero send disturbs nothing on AF_UNIX.
    if (!is_tcp) truth.write_over = ::send(handle, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
  }
  return truth;
}

struct MacOs {
  static constexpr bool reports_failures = false;
  static short answer(const Truth& truth, short asked) {
    short seen = 0;
    if ((asked & POLLIN) != 0) {
      if (truth.in() || truth.read_over()) seen |= POLLIN;
      if (truth.read_over()) seen |= POLLHUP;
    }
    if ((asked & POLLOUT) != 0) {
      if (truth.write_over || truth.hup() || truth.err()) seen |= POLLHUP;
      if (truth.out() && (seen & POLLHUP) == 0) seen |= POLLOUT;
    }
    return seen;
  }
};

struct FreeBsd {
  static constexpr bool reports_failures = false;
  static short answer(const Truth& truth, short asked) {
    short seen = truth.bits & asked & (POLLIN | POLLOUT);
    const bool broken_pipe = truth.is_pipe && truth.err();
    if (broken_pipe) seen = 0;
    if (truth.is_pipe && truth.hup()) seen |= asked & POLLIN;
    if (truth.hup() || broken_pipe) seen |= POLLHUP;
    return seen;
  }
};

struct WsaPoll {
  static constexpr bool reports_failures = true;
  static short answer(const Truth& truth, short asked) {
    if (!truth.is_socket) return truth.bits & (asked | POLLHUP | POLLERR);
    short seen = truth.bits & asked & POLLOUT;
    // (An own SD_RECEIVE shows nothing there; a reader would never learn of it. Here it does.)
    if (truth.unread && !truth.err()) seen |= asked & POLLIN;
    if (truth.read_over()) seen |= POLLHUP;
    if (truth.err()) seen |= POLLERR;
    return seen;
  }
};

struct Spurious {
  static constexpr bool reports_failures = true;
  static short answer(const Truth& truth, short asked) {
    thread_local std::uint32_t dice = 1;
    dice = dice * 1664525 + 1013904223;
    const short honest = truth.bits & (asked | POLLHUP | POLLERR);
    // Of a pipe every system's HUP is true; of a socket it is a hint to look.
    switch (truth.is_socket ? dice >> 29 : dice >> 31) {
      case 0:
        return honest | (asked & POLLIN);
      case 2:
        return honest | POLLHUP;
      case 3:
        return honest | POLLERR;
      default:
        return honest;
    }
  }
};

template <class System>
int poll_as(pollfd* polled, nfds_t count, Timeout timeout) {
  // The wake handle, first, is the backend's own and polled as it is.
  const int woken = ::poll(polled, 1, 0);
  int ready = woken > 0 ? 1 : 0;
  for (nfds_t i = 1; i < count; ++i) {
    polled[i].revents = System::answer(look_at(polled[i].fd), polled[i].events);
    if (polled[i].revents != 0) ++ready;
  }
  // Nobody is ready: sleep on the truth for a moment at most, and come back early, as a wait may.
  if (ready == 0) ::poll(polled, 1, timeout.is_zero() ? 0 : 1);
  return ready;
}

template <class System>
Contestant contestant(std::string name) {
  return {"poll_" + name, [] {
            std::error_code error;
            auto backend = make_poll_backend(
                detail::poll::PollSystem{&poll_as<System>, System::reports_failures}, error);
            if (error) throw std::system_error{error, "poll backend"};
            return backend;
          }};
}

}  // namespace

std::vector<Contestant> foreign_contestants() {
  return {contestant<MacOs>("macos"), contestant<FreeBsd>("freebsd"),
          contestant<WsaPoll>("wsapoll"), contestant<Spurious>("spurious")};
}

}  // namespace pollux::differential
