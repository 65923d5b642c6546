// SPDX-License-Identifier: MIT
// The look at a stream that changes nothing, as Windows allows it. No handle becomes readable when
// a stream ends.
#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>
#include <pollux/probe.hpp>

#include "platform/platform.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux {

using namespace detail;

StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept {
  SystemCalls uncounted;
  platform::System system{uncounted};
  const StreamType type = system.stream_type(stream, error);
  if (error) return {};
  const platform::Sight sight = system.look(stream, 0);
  if (sight.error != 0) error = platform::error_code(sight.error);
  if ((sight.seen & POLLNVAL) != 0) error = system_error_code(std::errc::bad_file_descriptor);
  if (error) return {};

  StreamState state;
  u_long unread = 0;
  ::ioctlsocket(stream, static_cast<long>(FIONREAD), &unread);
  state.unread = unread != 0;
  if ((sight.seen & POLLERR) != 0) {
    state.failed = state.hangup = true;
    return state;
  }
  state.peer_closed = (sight.seen & POLLHUP) != 0;
  if (state.unread) return state;
  const platform::Answer<Inbound> inbound = system.probe_inbound(stream, type, RawReady::none);
  if (inbound.outcome != platform::Outcome::answered || inbound.error == WSAENOTCONN) {
    error = platform::error_code(inbound.error);
    return {};
  }
  state.end_of_stream = inbound.found == Inbound::end;
  if (state.end_of_stream) state.hangup = system.probe_outbound(stream).found == Outbound::over;
  return state;
}

CloseDetector::CloseDetector(NativeHandle stream, std::error_code& error) noexcept {
  SystemCalls uncounted;
  platform::System{uncounted}.stream_type(stream, error);
  if (!error) error = system_error_code(std::errc::function_not_supported);
}

CloseDetector::~CloseDetector() = default;

void CloseDetector::drain() const noexcept {}

StreamState CloseDetector::probe(std::error_code& error) const noexcept {
  error = system_error_code(std::errc::bad_file_descriptor);  // there is none
  return {};
}

}  // namespace pollux
