// SPDX-License-Identifier: MIT
// What the core asks of the operating system: the probes behind src/io/stream_lifecycle.hpp, and
// who may be watched. The only system calls outside backends/; one file a platform.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/error.hpp>
#include <pollux/events.hpp>

#include "platform/stream_state.hpp"

namespace pollux::detail::platform {

/// Makes a system call, again for as long as a signal cuts it short.
template <class Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// The same, and counts each.
template <class Call>
auto uninterrupted(Call call, SystemCalls& calls) noexcept {
  ++calls;
  auto result = call();
  while (result < 0 && errno == EINTR) {
    ++calls;
    result = call();
  }
  return result;
}

/// What fork_count() returns, for frequent callers; 0 in a child in which nobody has called that
/// yet.
const std::atomic<unsigned>& forks() noexcept;
/// In such a child: gives it its count. Also from a signal handler.
unsigned count_fork() noexcept;
/// Finds a child that does not show: made without fork handlers, where the kernel does not report
/// it.
void look_for_fork() noexcept;

/// What a look saw, in poll()'s words, or the number of the error that kept it from seeing.
struct Sight {
  short seen = 0;
  int error = 0;
};

/// Looks at one handle at a time, with poll(2). That refuses even one handle where a program has
/// lowered its limit of descriptors to none, as sandboxes do: then by a set made in time.
class HandlePoller {
 public:
  explicit HandlePoller(SystemCalls& calls) noexcept : calls_{calls} {}
  HandlePoller(const HandlePoller&) = delete;
  HandlePoller& operator=(const HandlePoller&) = delete;
  ~HandlePoller() { drop(); }

  /// Makes the set, anew after a fork: the old one is the parent's too. Without (no descriptors, no
  /// such system) look() tries to make one when it needs it.
  void prepare() noexcept;
  void drop() noexcept;
  Sight look(NativeHandle handle, short events) noexcept;

 private:
  Sight look_without_poll(NativeHandle handle, short events) noexcept;
  /// no_handle and errno if there is none to be had.
  NativeHandle open_set() noexcept;
  Sight look_by_set(NativeHandle set, NativeHandle handle, short events) noexcept;

  SystemCalls& calls_;
  NativeHandle set_ = no_handle;
};

/// `gone`: the handle is not open any more, or not what it was. `refused`: the probe itself could
/// not be made (no memory, say), and nothing is known.
enum class Outcome : std::uint8_t { answered, gone, refused };

/// One probe's answer. `error` is the connection's, which has failed with it; of what was refused,
/// why.
template <class Found>
struct Answer {
  Found found{};
  Outcome outcome = Outcome::answered;
  int error = 0;
};

/// Whether such an error of a probe says nothing about the connection.
bool is_probes_own(int error) noexcept;

/// Whether it says that the handle is not open any more, or not what it was.
bool is_about_the_handle(int error) noexcept;

/// The answer of a probe that failed with `error`, which is not the connection's.
template <class Found>
Answer<Found> no_answer(int error) noexcept {
  if (is_about_the_handle(error)) return {Found{}, Outcome::gone};
  return {Found{}, Outcome::refused, error};
}

/// What lies on the device of a file, which fstat(2) names: the kernel keeps all sockets on one,
/// and all pipes that have no name on another. They can be watched, and no two share an inode.
enum class Device : std::uint8_t { other, sockets, pipes };

/// The system calls that are made about one handle. Counts them.
class System {
 public:
  explicit System(SystemCalls& calls) noexcept : calls_{calls}, poller_{calls} {}

  SystemCalls& calls() noexcept { return calls_; }
  /// Makes a system call, again for as long as a signal cuts it short.
  template <class Call>
  auto uninterrupted(Call call) noexcept {
    return platform::uninterrupted(call, calls_);
  }

  /// Closes a handle of the core's own.
  void close_handle(NativeHandle handle) noexcept;

  /// Ends one's own side of a stream socket: 0, or the system's number. Where the kernel reports
  /// nothing of that, the stream is `silent` from then on.
  int shut_down(NativeHandle handle, Shutdown how, StreamType& type) noexcept;

  // What a handle shows. See HandlePoller.

  void prepare_to_look() noexcept { poller_.prepare(); }
  void leave_kernel() noexcept { poller_.drop(); }
  Sight look(NativeHandle handle, short events) noexcept { return poller_.look(handle, events); }

  /// What is true of a stream now, in the words of a report, one's own shutdowns included; changes
  /// nothing. Some kernels report none of those.
  RawReady what_is_true(NativeHandle handle, StreamType type) noexcept;

  // What a stream is.

  /// What kind of byte stream `handle` is. Errors: `bad_file_descriptor`, `operation_not_permitted`
  /// for files and their like, Errc::not_a_stream for everything else that has no byte stream in
  /// it, `not_connected` for a socket that is not, of a family whose kernel does not show it as
  /// hung up.
  StreamType stream_type(NativeHandle handle, std::error_code& error) noexcept;
  /// Of a multipath socket, once it is connected: what probe_peer_fin() needs to know from before
  /// there is an end.
  void learn_fin_number(NativeHandle handle, StreamType& type) noexcept;

  // The probes. `known`: what the wait reported, as far as the backend can be believed.

  /// Whether a byte is there, or the end. Consumes no byte; on Linux a failure that a peek comes
  /// upon is taken out of the kernel.
  Answer<Inbound> probe_inbound(NativeHandle handle, StreamType type, RawReady known) noexcept {
    const bool is_usual = type.kind == StreamKind::socket && !type.has(Quirk::peek_offset);
    return is_usual ? peek(handle) : look_inside(handle, type, known);
  }
  /// What a send of zero bytes says: it fails with EPIPE exactly when the outbound side is over,
  /// and sends nothing. Takes a pending failure, as the peek does.
  Answer<Outbound> probe_outbound(NativeHandle handle) noexcept;
  /// Whether the peer's FIN has arrived, from the protocol's state; changes nothing.
  Answer<PeerFin> probe_peer_fin(NativeHandle handle, StreamType type, RawReady known) noexcept;
  /// Whether the connection goes on whatever error is pending; changes nothing.
  Answer<Standing> probe_standing(NativeHandle handle, StreamType type, RawReady known) noexcept;
  /// Takes the pending error; 0 if there is none. For a pipe's writing end: EPIPE if it is broken.
  Answer<int> take_error(NativeHandle handle, StreamKind kind, RawReady known) noexcept;

  // Which files may be watched, and which file a number stands for.

  Device device_of(NativeHandle handle, std::uint64_t device, unsigned mode) noexcept;
  /// Why the kernel would not watch `handle`, which is on another device: EPERM, or EBADF for what
  /// was opened only to name it. 0 if it would, or cannot be asked.
  int refusal_to_watch(NativeHandle handle, unsigned mode) noexcept;
  /// A kernel's set of open files that nobody waits on, for close_handle(). no_handle and errno
  /// where it cannot be had; ENOSYS where there is no such thing.
  NativeHandle open_file_set() noexcept;
  /// 0, or errno. A file that is in the set under this number already may be added.
  int add_to_file_set(NativeHandle set, NativeHandle handle) noexcept;
  /// Whether the open file that `handle` stands for is in the set under this number.
  bool is_in_file_set(NativeHandle set, NativeHandle handle) noexcept;
  void remove_from_file_set(NativeHandle set, NativeHandle handle) noexcept;

 private:
  /// What is unusual about a stream socket, on this system alone.
  void examine_socket(NativeHandle handle, StreamType& type, std::error_code& error) noexcept;
  /// A one-byte peek.
  Answer<Inbound> peek(NativeHandle handle) noexcept;
  /// The same where there are no peeks: the count of unread bytes, and the hang-up. And where the
  /// owner's peeks begin somewhere else.
  Answer<Inbound> look_inside(NativeHandle handle, StreamType type, RawReady known) noexcept;
  /// A send(2) of zero bytes that does not wait, and of which no SIGPIPE comes to anybody.
  long send_nothing(NativeHandle handle) noexcept;

  SystemCalls& calls_;
  HandlePoller poller_;
};

/// The system's number as an error code.
inline std::error_code error_code(int error) noexcept {
  return {error, native_category()};
}

}  // namespace pollux::detail::platform
