// SPDX-License-Identifier: MIT
// For those who have a loop of their own: what has become of a stream socket, seen without changing
// it, and a handle to wait on for the answer to change. A reactor needs neither.
#pragma once

#include <cstdint>
#include <system_error>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

/// The state of a connected stream socket, in the words of the contract.
struct StreamState {
  bool unread = false;         ///< at least one byte can be read
  bool peer_closed = false;    ///< the peer's FIN has arrived, whether or not bytes are unread
  bool end_of_stream = false;  ///< the inbound side has ended and every byte before it was read
  bool hangup = false;         ///< both directions are over and every byte was read, or it failed
  bool failed = false;         ///< the connection failed, and why is still in the socket

  friend constexpr bool operator==(const StreamState&, const StreamState&) = default;
};

/// Asks the kernel for that state. Consumes no byte and takes no error: the owner's next read,
/// write or SO_ERROR has it. An error that the owner has taken already is not known here, and shows
/// as the end of the stream that it is. Nothing is set while a socket is still connecting. Where
/// the kernel does not distinguish them, an own SHUT_RD counts as peer_closed: on AF_UNIX, and,
/// unless bytes are unread, on MPTCP. A notice in the error queue (a time stamp, say) of a socket
/// whose both directions are over counts as failed: only its owner can read which it is.
///
/// Outside Linux the kernel shows less: what lies behind unread bytes shows once they were read.
/// (But peer_closed on TCP shows at once on macOS and FreeBSD too.)
///
/// Errors: `not_connected`, `bad_file_descriptor`, Errc::not_a_stream for whatever is not a stream
/// socket; and the kernel's own if it refuses to answer (no memory, or, under a limit of no
/// descriptors at all, too many open files): then nothing is known. Any thread.
POLLUX_EXPORT StreamState probe_stream(NativeHandle stream, std::error_code& error) noexcept;

/// A handle that becomes readable when probe_stream() may answer something new about a stream's
/// end: with the peer's FIN, be bytes unread or not, with an own shutdown, a hang-up or a failure.
/// Never because of bytes, and so not when the last one is read either. For poll, select, epoll, or
/// any loop that is built on them; it keeps `stream` neither open nor registered anywhere else, and
/// falls silent when that is closed. Owned and closed by this object.
class POLLUX_EXPORT CloseDetector {
 public:
  CloseDetector() noexcept = default;
  /// Readable at once if the end is there already. `error` says why none could be made:
  /// `function_not_supported` where the kernel has nothing of the kind (all but Linux),
  /// Errc::not_a_stream, or what the kernel says (too many open files). The object is empty then.
  CloseDetector(NativeHandle stream, std::error_code& error) noexcept;
  /// The other one has what this one had: nothing, if it is new.
  CloseDetector(CloseDetector&& other) noexcept
      : handle_{std::exchange(other.handle_, none)},
        stream_{other.stream_},
        fin_number_{other.fin_number_} {}
  CloseDetector& operator=(CloseDetector&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(stream_, other.stream_);
    std::swap(fin_number_, other.fin_number_);
    return *this;
  }
  ~CloseDetector();

  /// Whether there is a handle.
  explicit operator bool() const noexcept { return handle_ != none; }
  /// What to wait on, for reading.
  NativeHandle handle() const noexcept { return handle_; }
  /// Makes handle() unreadable until something new happens. Call it before probe().
  void drain() const noexcept;

  /// As probe_stream() of `stream`, and more: distinguishes the peer's FIN from an own SHUT_RD on
  /// MPTCP too if neither was there when this object was made (Linux 6.5), and works under any
  /// limit of descriptors. May drain as well.
  StreamState probe(std::error_code& error) const noexcept;

 private:
  enum class FinNumber : std::uint8_t { unknown, even, odd };
  static constexpr NativeHandle none = static_cast<NativeHandle>(-1);

  NativeHandle handle_ = none;
  NativeHandle stream_ = none;
  FinNumber fin_number_ = FinNumber::unknown;
};

}  // namespace pollux
