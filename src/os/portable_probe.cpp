// SPDX-License-Identifier: MIT
// The look at a stream for POSIX systems without a file of their own. Here, as on the BSDs and
// macOS, a peek leaves the error of a reset where it is.
#include <cerrno>

#include <pollux/error.hpp>
#include <pollux/probe.hpp>

#include "os/os.hpp"

namespace pollux {

StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept {
  std::uint64_t uncounted = 0;
  using namespace detail;
  if (os::stream_kind(stream, error, uncounted) != StreamKind::socket && !error)
    error = Errc::not_a_stream;
  if (error) return {};
  const auto inbound = os::probe_inbound(stream, StreamKind::socket, uncounted);
  if (inbound.gone || inbound.error == ENOTCONN) {
    error = os::error_code(inbound.gone ? EBADF : ENOTCONN);
    return {};
  }
  StreamState state;
  switch (inbound.found) {
    case Inbound::unknown:
    case Inbound::empty:
      break;
    case Inbound::bytes:
      state.unread = true;
      state.peer_closed = os::probe_peer_fin(stream, uncounted) == PeerFin::received;
      break;
    case Inbound::end: {
      state.end_of_stream = true;
      state.peer_closed = os::probe_peer_fin(stream, uncounted) != PeerFin::not_received;
      const Outbound outbound = os::probe_outbound(stream, uncounted).found;
      state.hangup = outbound != Outbound::open && outbound != Outbound::full;
      break;
    }
    case Inbound::failed:
      state.failed = state.hangup = true;
      break;
  }
  return state;
}

EndHandle::EndHandle(NativeHandle, std::error_code& error) noexcept {
  error = detail::os::error_code(ENOSYS);
}

EndHandle::~EndHandle() = default;

void EndHandle::drain() const noexcept {}

}  // namespace pollux
