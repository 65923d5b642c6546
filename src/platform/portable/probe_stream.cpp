// SPDX-License-Identifier: MIT
// The look at a stream for POSIX systems without a file of their own. On the BSDs and macOS a peek
// leaves the error of a reset where it is; on Linux it takes it, but there poll() shows it before.
#include <cerrno>

#include <poll.h>
#include <sys/ioctl.h>

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

}  // namespace

StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept {
  const StreamType type = type_of_stream_socket(stream, error);
  if (error) return {};
  SystemCalls uncounted;
  platform::System system{uncounted};
  StreamState state;
  const platform::Sight sight = system.look(stream, POLLIN);
  if (sight.error != 0) {
    error = platform::error_code(sight.error);
    return {};
  }
  if ((sight.seen & POLLERR) != 0) {
    // A failure where HUP is up too, and else a notice in the error queue.
    int unread = 0;
    platform::uninterrupted([&] { return ::ioctl(stream, FIONREAD, &unread); });
    state.unread = unread > 0;
    state.failed = state.hangup = (sight.seen & POLLHUP) != 0;
    return state;
  }
  const auto inbound = system.probe_inbound(stream, type, RawReady::none);
  if (inbound.outcome == platform::Outcome::gone) error = platform::error_code(EBADF);
  if (inbound.outcome == platform::Outcome::refused || inbound.error == ENOTCONN)
    error = platform::error_code(inbound.error);
  if (error) return {};
  const auto peer_fin = [&] { return system.probe_peer_fin(stream, type, RawReady::none).found; };
  switch (inbound.found) {
    case Inbound::unknown:
    case Inbound::empty:
      break;
    case Inbound::bytes:
      state.unread = true;
      state.peer_closed = peer_fin() == PeerFin::received;
      break;
    case Inbound::end: {
      state.end_of_stream = true;
      state.peer_closed = peer_fin() != PeerFin::not_received;
      const Outbound outbound = system.probe_outbound(stream).found;
      state.hangup = outbound != Outbound::open && outbound != Outbound::full;
      break;
    }
    case Inbound::failed:
      state.failed = state.hangup = true;
      break;
  }
  return state;
}

CloseDetector::CloseDetector(NativeHandle stream, std::error_code& error) noexcept {
  type_of_stream_socket(stream, error);
  if (!error) error = detail::platform::error_code(ENOSYS);
}

CloseDetector::~CloseDetector() = default;

void CloseDetector::drain() const noexcept {}

StreamState CloseDetector::probe(std::error_code& error) const noexcept {
  error = detail::platform::error_code(EBADF);  // there is none
  return {};
}

}  // namespace pollux
