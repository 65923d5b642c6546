// SPDX-License-Identifier: MIT
// For a program on standalone Asio: waits for what Asio has no wait for, the half-close of the
// peer, the end of a stream and the hang-up. No reactor is involved; costs only those who include
// it.
#pragma once

#include <asio/async_result.hpp>
#include <asio/basic_stream_socket.hpp>

#include <pollux/detail/asio_lifecycle.hpp>

/// Waits for the end of a stream, on sockets of standalone Asio.
namespace pollux::asio {

// Three waits, and what they have in common. Each also completes for what is true at its start, and
// calls its handler once, never from inside the starting function, with (of asio::error)
//
//   no error           what was waited for is there
//   operation_aborted  the socket was cancelled or closed, or the handler's slot was emitted to
//   connection_reset   the connection failed while waiting, of whatever cause; bytes may be unread
//   not_connected      it is neither connected nor connecting
//
// and with std::errc::not_enough_memory where there is none on the way. (Without the memory to
// begin with, the starting function throws std::bad_alloc.)
//
// Nothing is read, and no error is taken: bytes, and the true cause of a failure, are left for the
// owner's next call. A failure that the owner's own read or write has taken already is the owner's
// to know: the wait then completes as for an end in good order.
//
// Any token will do, and any executor: steps on the way and the handler itself run on the handler's
// executor, with the handler's allocator. Several waits may be out on one socket, and reads and
// writes beside them, under Asio's own rule that one thread at a time uses a socket: where several
// run the context, a strand. The socket must stay where it is until the handler is called. While
// both directions are over and bytes unread, or urgent data is, the socket's cancel() may miss a
// wait; close() and the handler's slot do not.
//
// On Linux the kernel reports the end, and an idle wait uses no processor time; each holds a
// descriptor. Elsewhere, or with no descriptor left, it probes: after 1 ms, doubling to 100 ms.

/// Completes when the peer's FIN has arrived, also while bytes are unread and nobody reads: the
/// peer will send nothing more, and may still read. An own SHUT_RD is no peer's FIN (but counts as
/// one where the kernel does not distinguish them: on AF_UNIX, and on MPTCP if it was there first);
/// after an own shutdown of both directions, and no FIN yet, it completes with
/// asio::error::shut_down.
template <class Protocol, class Executor,
          class Token = ::asio::default_completion_token_t<Executor>>
auto async_wait_peer_closed(::asio::basic_stream_socket<Protocol, Executor>& socket,
                            Token&& token = {}) {
  return detail::async_wait_end<Token>(socket, detail::End::peer_closed, token);
}

/// Completes when the inbound side has ended and every byte before that was read: a read finds the
/// end now. The owner reads, the wait completes. No kernel reports that the last byte was read:
/// while the end is there and bytes are unread, the wait probes after 1 ms, doubling to 100 ms.
template <class Protocol, class Executor,
          class Token = ::asio::default_completion_token_t<Executor>>
auto async_wait_end_of_stream(::asio::basic_stream_socket<Protocol, Executor>& socket,
                              Token&& token = {}) {
  return detail::async_wait_end<Token>(socket, detail::End::end_of_stream, token);
}

/// Completes when both directions are over, by whoever's shutdown, and every byte was read: nothing
/// is lost by closing now. With bytes unread it probes, as async_wait_end_of_stream() does.
template <class Protocol, class Executor,
          class Token = ::asio::default_completion_token_t<Executor>>
auto async_wait_hangup(::asio::basic_stream_socket<Protocol, Executor>& socket,
                       Token&& token = {}) {
  return detail::async_wait_end<Token>(socket, detail::End::hangup, token);
}

}  // namespace pollux::asio
