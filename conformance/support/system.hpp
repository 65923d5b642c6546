// SPDX-License-Identifier: MIT
// What tests need of the operating system beside pairs of streams (pairs.hpp). One file a system
// implements both: posix/, with linux/ or portable/ for what only Linux has, and windows/. Tests
// ask here what a system has and how it differs; they have no #if on one.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pollux/address.hpp>
#include <pollux/process.hpp>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// What systems do differently about TCP, and the contract leaves to them (docs/contract.md). Each
/// is a documented fact (docs/kernel-facts.md has the sources), or a deviation of an emulation from
/// one, which is named as such. The values here are Linux's.
struct SystemFacts {
  /// Bytes that are unread when a reset comes are gone. (Windows.)
  bool reset_discards_unread = false;
  /// A reset behind a FIN is a broken pipe. (tcp(7). On Windows it is a reset like others.)
  bool reset_behind_fin_is_broken_pipe = true;
  /// Whoever asks for a failure takes it (rule 10). (On Windows it stays, for each who asks.)
  bool failure_is_taken = true;
  /// A shutdown of reading leaves what has arrived to be read. (On Windows a read fails from then
  /// on, with WSAESHUTDOWN: EPIPE.)
  bool own_shutdown_leaves_unread = true;
  /// A shutdown by hand is reported. (On Windows StreamWatch::shutdown() is the only way.)
  bool own_shutdown_is_reported = true;
  /// Bytes for a socket whose owner has ended both sides are answered with a reset (RFC 1122,
  /// 4.2.2.13; not by Wine 8, which keeps the socket open to them), and those for one whose owner
  /// has ended the reading side are. (On Windows.)
  bool bytes_behind_both_shutdowns_reset = true;
  bool bytes_behind_own_shutdown_reset = false;
  /// How many bytes have not arrived at the peer can be asked (SIOCOUTQ), so that no reset of one's
  /// own overtakes them. (Winsock has nothing of the kind.)
  bool unacknowledged_bytes_show = true;
  /// With how many calls the core finds out, once in 256 reports, whether a number still is what is
  /// watched, and whether a byte is there. (On Windows a socket is known by its two ports, and a
  /// poll has to come before the peek.)
  std::uint64_t calls_of_a_check = 2;
  /// Backends report in the words of Linux's poll(2), with its flags.
  bool raw_flags_are_linux = true;
  /// What a read of an urgent byte gives where there is none. (Winsock: it would block.)
  int read_without_urgent_byte = -EINVAL;
  /// What calls give after a connect was refused, once the failure was delivered. 0: as after any
  /// other failure.
  int read_after_refusal = 0;
  int write_after_refusal = 0;
  /// A child's end is taken by whoever waits for it. (On Windows it stays, for each who has a
  /// handle.)
  bool children_are_reaped = true;
  /// There are handles of processes (ProcessHandle).
  bool has_process_handles = false;
  /// Threads may raise a signal at the same time. (The C library of Windows takes the handler out
  /// while it calls it: a second raise() meanwhile ends the process.)
  bool signals_may_meet = true;
  /// The host's answer to a datagram that nobody takes is the sender's next error. (Winsock makes
  /// it a reset, which SIO_UDP_CONNRESET turns off; Wine 8 may have taken it.)
  bool lost_datagram_is_an_error = true;
  /// It says so also of a socket that is not connected, and whom the datagram was for. (The error
  /// queue of Linux.)
  bool errors_name_the_peer = true;
  /// One call receives several datagrams.
  bool receives_in_batches = true;
  /// The kernel moves bytes from one socket to another by itself. (splice() of Linux.)
  bool moves_bytes_between_sockets = false;
  // Deviations of Wine 8 from Windows.
  /// Each call asks another process, so that what takes long is played in part.
  bool is_emulated = false;
  /// A FIN shows only when the bytes before it have been read.
  bool unread_bytes_hide_fin = false;
  /// A reset hides a FIN that came before it, if that was not delivered before.
  bool reset_hides_fin = false;
  /// A read behind a failure gives 0.
  bool read_behind_failure_is_the_end = false;
  // What older kernels do not have.
  /// MPTCP shows how many bytes have come, and so the peer's FIN is told apart from an own shutdown
  /// of reading (rule 15). (Linux 6.5 and later.)
  bool multipath_fin_is_distinguished = true;
};

const SystemFacts& system_facts() noexcept;

/// A sentence each, about what this system has not that the kit has tests of elsewhere; one a line.
/// Empty where nothing is left out.
std::string left_out_here();

// Descriptors.

/// How many this process has open.
std::size_t open_descriptors();
/// Whether one of that number is.
bool is_open(NativeHandle handle) noexcept;
/// Another of the same, under that number, which is free. Empty if it cannot be had.
Handle duplicate_at(const Handle& handle, NativeHandle number);
/// Numbers that nothing is open under, whatever a process has open.
std::vector<NativeHandle> never_open();
/// How many bytes have arrived at a TCP socket, read or not; none where the system does not say.
std::optional<std::uint64_t> bytes_received(NativeHandle handle);
/// From now on peeks at this socket begin so many bytes from the start (SO_PEEK_OFF). False where
/// there is nothing of the kind.
bool set_peek_offset(const Handle& handle, int bytes);
/// What no system can wait for: a regular file.
class RegularFile {
 public:
  RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  ~RegularFile();

  NativeHandle get() const noexcept { return file_; }

 private:
  NativeHandle file_ = no_handle;
};

/// Whether calls wait.
void set_blocking(const Handle& handle, bool blocking);
/// How it is set, as far as the system says so: equal before and after what changes nothing.
int settings_of(const Handle& handle);

struct Named {
  std::string name;
  Handle handle;
};
/// What can be waited for and is no stream, of kinds that not every system has.
std::vector<Named> no_streams_of_this_system();
/// Files whose type does not say whether they can be waited for.
std::vector<Named> files_of_unclear_type();

// Waits.

enum class Await { readable, writable, hang_up };

/// Whether it comes true within that time; of no_handle, nothing does.
bool await(NativeHandle handle, Await what, std::chrono::milliseconds limit);
inline bool await(const Handle& handle, Await what, std::chrono::milliseconds limit) {
  return await(handle.get(), what, limit);
}
/// What shows of the other end within that time, without taking anything: not even its failure.
enum class OtherEnd { open, closed, failed };
OtherEnd look_at_other_end(const Handle& handle, std::chrono::milliseconds limit);
/// Whether the other end of `handle` shows as closed within that time.
bool await_close(PairKind kind, const Handle& handle, std::chrono::milliseconds limit);

// The network.

/// Whether a listener on IPv4 loopback may have that port, in the order of the network.
bool is_free(std::uint16_t port);

/// Where a socket is bound, and what it is.
class BoundAddress {
 public:
  explicit BoundAddress(const Handle& bound);

  /// A socket like the first, if the address is free.
  Handle bind() const;
  bool is_free() const { return static_cast<bool>(bind()); }
  Address address() const noexcept { return {name_, static_cast<std::size_t>(size_)}; }

 private:
  alignas(8) unsigned char name_[128]{};
  int size_ = sizeof name_;
  int type_ = 0;
};

/// A datagram socket that is connected to a port on loopback where nobody is.
Handle make_deserted_mailbox();
/// The master of a new pseudo-terminal, whose other side can be opened. Throws std::system_error,
/// as where there are none.
Handle open_master();
/// Two AF_UNIX sockets that take packets; none where there are none.
std::optional<Pair> make_packet_pair();
/// A socket for a connection between virtual machines, empty where there is none.
Handle make_vsock_socket();
/// Has `socket` connect to the listener with its first bytes, which wait for nothing. False where
/// there is nothing of the kind.
bool start_fast_connect(const Handle& socket, const Handle& listener);

/// Whether the system can be had to do what follows.
bool can_play_dead() noexcept;
/// From now on the system drops every packet that arrives for this TCP socket: to its peer it is
/// dead. And no longer.
void play_dead(const Handle& handle);
void come_alive(const Handle& handle);
/// TCP gives up on a peer that does not answer, at its first retransmission.
void give_up_early(const Handle& handle);
/// Asks an idle peer each second whether it is there. TCP gives up on one that has left so many
/// questions without an answer.
void keep_alive(const Handle& handle, int questions = 1);

// The process.

/// Of the environment; null: there is none of that name any more.
void set_environment(const char* name, const char* value);

/// Whether a process can be copied; then run_forked() runs `child` in a copy, and waits for it:
/// whether it said true.
bool can_fork() noexcept;
bool run_forked(const std::function<bool()>& child);
/// Ends this process at once; by a signal that nobody can catch, or by leaving it.
[[noreturn]] void end_process(bool killed);

/// What holds child processes back until it is opened.
class Gate {
 public:
  Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

  void open();
  /// In a copy of this process, can_fork(): comes back when it is open.
  void pass();

 private:
  friend class ChildProcess;
  struct State;

  std::unique_ptr<State> state_;
};

/// A child process that exits with a code, by itself. Whoever has not been waited for at the end is
/// ended, and waited for.
class ChildProcess {
 public:
  explicit ChildProcess(int code);
  ChildProcess(Gate& gate, int code);
  /// A copy of this process, can_fork(), which calls `code`.
  explicit ChildProcess(const std::function<int()>& code);
  ChildProcess(ChildProcess&& other) noexcept
      : pid_{std::exchange(other.pid_, -1)}, handle_{std::exchange(other.handle_, nullptr)} {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  int pid() const noexcept { return pid_; }
  /// Null where a system has no handles of processes.
  ProcessHandle handle() const noexcept { return handle_; }

  /// Comes back when it has ended, without waiting for it as waitpid() does.
  void await_end() const;
  /// Whether nobody has waited for it yet. True where nobody has to
  /// (SystemFacts::children_are_reaped).
  bool is_there() const;

 private:
  int pid_ = -1;
  ProcessHandle handle_ = nullptr;
};

/// Numbers that are no child's, whatever children a process has.
std::vector<int> never_children();

/// The first or the second of two signals that a program may use for itself.
int signal_of_ours(std::size_t which = 0) noexcept;
/// Sends one of these to this process.
void raise_signal(int signal);
/// Whether a signal may be raised while another thread sets what the process calls for it.
bool handlers_may_change_while_signals_come();
/// What the process calls for a signal.
void (*handler_of(int signal))(int);
/// Numbers of no signal, or of one that nobody can watch.
std::vector<int> never_signals();

/// Whether a process can lower its limit of descriptors (limits.hpp).
bool can_limit_descriptors() noexcept;

/// Where a write into what nobody reads raises a signal, it is ignored from now on.
void ignore_broken_pipes();
/// "Linux 6.1 x86_64"
std::string system_name();
bool is_terminal_output() noexcept;
bool is_terminal_errors() noexcept;

}  // namespace pollux::support
