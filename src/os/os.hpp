// SPDX-License-Identifier: MIT
// What the core asks of the operating system: the probes behind src/lifecycle.hpp, and who may be
// watched. The only system calls outside backends/; one file a platform. Each adds what it takes to
// `calls`.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <pollux/backend.hpp>

#include "lifecycle.hpp"

namespace pollux::detail::os {

/// Makes a system call, again for as long as a signal cuts it short.
template <class Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

template <class Call>
auto uninterrupted(Call call, std::uint64_t& calls) noexcept {
  return uninterrupted([&] {
    ++calls;
    return call();
  });
}

/// What fork_count() tells, for those who ask often; 0 in a child in which nobody has called that
/// yet.
const std::atomic<unsigned>& forks() noexcept;
/// In such a child: gives it its count. Also from a signal handler.
unsigned count_fork() noexcept;
/// Finds a child that does not show: made without fork handlers, where the kernel does not tell.
void look_for_fork() noexcept;

/// Closes a handle of the core's own.
void close_handle(NativeHandle handle, std::uint64_t& calls) noexcept;

/// What poll() sees on one handle now.
short look(NativeHandle handle, short events, std::uint64_t& calls) noexcept;

/// What kind of byte stream `handle` is. Errors: `bad_file_descriptor`, `operation_not_permitted`
/// for files and their like, Errc::not_a_stream for everything else that has no byte stream in it.
StreamKind stream_kind(NativeHandle handle, std::error_code& error, std::uint64_t& calls) noexcept;

/// One probe's answer. `gone`: the handle is not open any more, or not what it was.
template <class Found>
struct Answer {
  Found found;
  int error = 0;
  bool gone = false;
};

/// A one-byte peek (sockets), or the count of unread bytes and the hang-up (all else). Consumes no
/// byte; on Linux a failure that it comes upon is taken out of the kernel.
Answer<Inbound> probe_inbound(NativeHandle handle, StreamKind kind, std::uint64_t& calls) noexcept;

/// A send(2) of zero bytes that does not wait, and of which no SIGPIPE comes to anybody.
long send_nothing(NativeHandle handle, std::uint64_t& calls) noexcept;

/// What that says: it fails with EPIPE exactly when the outbound side is over, and sends
/// nothing. Takes a pending failure, as the peek does.
Answer<Outbound> probe_outbound(NativeHandle handle, std::uint64_t& calls) noexcept;

/// Whether the peer's FIN has arrived, from the TCP state; changes nothing.
PeerFin probe_peer_fin(NativeHandle handle, std::uint64_t& calls) noexcept;

/// Takes the pending error; 0 if there is none. For a pipe's writing end: EPIPE if it is broken.
int take_error(NativeHandle handle, StreamKind kind, std::uint64_t& calls) noexcept;

/// What lies on the device of a file, which fstat(2) names: the kernel keeps all sockets on one,
/// and all pipes that have no name on another. They can be watched, and no two share an inode.
enum class Device : std::uint8_t { other, sockets, pipes };
Device device_of(NativeHandle handle, std::uint64_t device, unsigned mode,
                 std::uint64_t& calls) noexcept;

/// Why the kernel would not watch `handle`, which is on another device: EPERM, or EBADF for what
/// was opened only to name it. 0 if it would, or cannot be asked.
int refusal_to_watch(NativeHandle handle, unsigned mode, std::uint64_t& calls) noexcept;

/// A kernel's set of open files that nobody waits on, for close_handle(). no_handle and errno where
/// it cannot be had; ENOSYS where there is no such thing.
NativeHandle open_file_set(std::uint64_t& calls) noexcept;
/// 0, or errno. A file that is in the set under this number already may be added.
int add_to_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept;
/// Whether the open file that `handle` stands for is in the set under this number.
bool is_in_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept;
void remove_from_file_set(NativeHandle set, NativeHandle handle, std::uint64_t& calls) noexcept;

/// The system's number as an error code.
inline std::error_code error_code(int error) noexcept {
  return {error, std::system_category()};
}

}  // namespace pollux::detail::os
