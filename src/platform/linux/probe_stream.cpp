// SPDX-License-Identifier: MIT
// The look at a stream that changes nothing, as Linux allows it: poll() shows the peer's FIN and a
// pending error and leaves both where they are, and an epoll set can be waited on like any handle.
#include <cerrno>
#include <utility>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pollux/error.hpp>
#include <pollux/probe.hpp>

#include "platform/platform.hpp"

namespace pollux {

namespace {

using namespace detail;

StreamType type_of_stream_socket(NativeHandle handle, std::error_code& error) noexcept {
  SystemCalls uncounted;
  const StreamType type = platform::System{uncounted}.stream_type(handle, error);
  if (!error && type.kind != StreamKind::socket) error = Errc::not_a_stream;
  return type;
}

bool is_at_urgent_mark(NativeHandle stream) noexcept {
  int mark = 0;
  return platform::uninterrupted([&] { return ::ioctl(stream, SIOCATMARK, &mark); }) == 0 &&
         mark != 0;
}

/// Whether bytes are unread. A peek would take a pending error: then a count must do.
platform::Answer<Inbound> probe_unread(NativeHandle stream, StreamType type,
                                       bool error_pends) noexcept {
  int counted = 0;
  const bool can_count =
      platform::uninterrupted([&] { return ::ioctl(stream, FIONREAD, &counted); }) == 0;
  if (!can_count && platform::is_probes_own(errno)) return platform::no_answer<Inbound>(errno);
  // None is none, but for bytes behind an urgent mark, and where nobody counts (AF_VSOCK before
  // Linux 6.17).
  if (can_count && counted == 0 && !is_at_urgent_mark(stream)) return {Inbound::empty};
  // The end of a multipath stream counts as a byte.
  if (error_pends)
    return {counted == 1 && type.has(Quirk::multipath) ? Inbound::empty : Inbound::bytes};
  // AF_UNIX goes on counting urgent bytes that nobody can read any more.
  SystemCalls uncounted;
  return platform::System{uncounted}.probe_inbound(stream, type, RawReady::none);
}

StreamState probe(NativeHandle stream, StreamType type, platform::Sight sight,
                  std::error_code& error) noexcept {
  const bool inbound_over = (sight.seen & POLLRDHUP) != 0;
  const bool both_over = (sight.seen & POLLHUP) != 0;
  const bool error_pends = (sight.seen & POLLERR) != 0;
  if (sight.error != 0) error = platform::error_code(sight.error);
  if ((sight.seen & POLLNVAL) != 0) error = platform::error_code(EBADF);
  // Hung up without an end: it was never connected.
  if (both_over && !inbound_over && !error_pends) error = platform::error_code(ENOTCONN);
  if (error) return {};
  // After the look: nothing follows a FIN, so that none left means none to come.
  const platform::Answer<Inbound> inbound = probe_unread(stream, type, error_pends);

  StreamState state;
  state.unread = inbound.found == Inbound::bytes;
  // ERR alone may be a notice in the error queue, which is no failure.
  state.failed = (both_over && error_pends) || inbound.found == Inbound::failed;
  const bool ended = inbound_over && !state.failed;
  platform::Answer<PeerFin> fin;
  if (ended) {
    SystemCalls uncounted;
    fin = platform::System{uncounted}.probe_peer_fin(stream, type, RawReady::none);
  }
  for (const auto& [outcome, why] :
       {std::pair{inbound.outcome, inbound.error}, std::pair{fin.outcome, fin.error}}) {
    if (outcome == platform::Outcome::refused) error = platform::error_code(why);
    if (outcome == platform::Outcome::gone) error = platform::error_code(EBADF);
  }
  if (error) return {};
  state.peer_closed = ended && fin.found != PeerFin::not_received;
  state.end_of_stream = ended && !state.unread;
  state.hangup = state.failed || (both_over && !state.unread);
  return state;
}

}  // namespace

StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept {
  const StreamType type = type_of_stream_socket(stream, error);
  if (error) return {};
  SystemCalls uncounted;
  return probe(stream, type, platform::HandlePoller{uncounted}.look(stream, POLLRDHUP), error);
}

CloseDetector::CloseDetector(NativeHandle stream, std::error_code& error) noexcept {
  StreamType type = type_of_stream_socket(stream, error);
  if (error) return;
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  // Edge-triggered: after drain() an end that lasts, or a notice in the error queue, is silent.
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  if (set < 0 || ::epoll_ctl(set, EPOLL_CTL_ADD, stream, &event) != 0) {
    error = platform::error_code(errno);
    if (set >= 0) ::close(set);
    return;
  }
  handle_ = set;
  stream_ = stream;
  SystemCalls uncounted;
  if (type.has(Quirk::multipath)) platform::System{uncounted}.learn_fin_number(stream, type);
  if (type.has(Quirk::numbered))
    fin_number_ = type.has(Quirk::odd) ? FinNumber::odd : FinNumber::even;
}

StreamState CloseDetector::probe(std::error_code& error) const noexcept {
  if (handle_ == none) {
    error = platform::error_code(EBADF);
    return {};
  }
  StreamType type = type_of_stream_socket(stream_, error);
  if (error) return {};
  type.set(Quirk::numbered, fin_number_ != FinNumber::unknown);
  type.set(Quirk::odd, fin_number_ == FinNumber::odd);
  SystemCalls uncounted;
  platform::Sight sight = platform::HandlePoller{uncounted}.look(stream_, POLLRDHUP);
  if (sight.error != 0) {
    // It cannot be looked at by the usual way, nor a set be made: but here is one. To ask for the
    // same anew makes what is up now an event.
    epoll_event event{};
    event.events = EPOLLRDHUP | EPOLLET;
    const bool asked = ::epoll_ctl(handle_, EPOLL_CTL_MOD, stream_, &event) == 0;
    const int count =
        asked ? platform::uninterrupted([&] { return ::epoll_wait(handle_, &event, 1, 0); }) : -1;
    sight = {count > 0 ? static_cast<short>(event.events) : short{0}, count < 0 ? errno : 0};
  }
  return pollux::probe(stream_, type, sight, error);
}

CloseDetector::~CloseDetector() {
  if (handle_ != none) ::close(handle_);
}

void CloseDetector::drain() const noexcept {
  epoll_event event;
  ::epoll_wait(handle_, &event, 1, 0);
}

}  // namespace pollux
