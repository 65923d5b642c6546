// SPDX-License-Identifier: MIT
// What only Linux has.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "conformance/support/child_process.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/signal_numbers.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/unix_paths.hpp"
#include "native_sockets.hpp"

namespace pollux::support {

namespace {

template <class Value>
void set_option(const Handle& socket, int level, int option, const Value& value, const char* what) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0)
    throw std::system_error{errno, std::generic_category(), what};
}

/// How much of MPTCP_INFO the kernel has; 0 where it has none.
std::size_t size_of_multipath_info(const Handle& socket) {
  constexpr int level_mptcp = 284;
  constexpr int mptcp_info = 1;
  char info[256];
  socklen_t size = sizeof info;
  return ::getsockopt(socket.get(), level_mptcp, mptcp_info, info, &size) == 0 ? size : 0;
}

}  // namespace

bool has_multipath() {
  const Handle socket{native::open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)};
  // An emulator may know nothing of MPTCP_INFO, and answer for one of the TCP connections instead.
  return socket && (emulator().empty() || size_of_multipath_info(socket) != 0);
}

const SystemFacts& system_facts() noexcept {
  static const SystemFacts facts = [] {
    SystemFacts found;
    const Handle socket{native::open_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)};
    // Up to the numbers of the bytes, with which Linux 6.5 has made it longer.
    constexpr std::size_t with_numbers = 72;
    found.multipath_fin_is_distinguished = size_of_multipath_info(socket) >= with_numbers;
#if defined(POLLUX_PORTABLE_SYSTEM)
    found.errors_name_the_peer = false;
    found.receives_in_batches = false;
#else
    found.moves_bytes_between_sockets = true;
#endif
    return found;
  }();
  return facts;
}

bool unix_has_urgent_bytes() {
  const Pair pair = make_pair(PairKind::unix_stream);
  return write_urgent(pair.peer) == 1;
}

std::string left_out_here() {
  if (unix_has_urgent_bytes()) return {};
  return "AF_UNIX has no urgent bytes here (Linux has them since 5.15): TCP's alone are tested\n";
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator listing{"/proc/self/fd"};
  // The listing itself holds one open.
  return static_cast<std::size_t>(std::distance(begin(listing), end(listing))) - 1;
}

OtherEnd look_at_other_end(const Handle& handle, std::chrono::milliseconds limit) {
  pollfd asked{handle.get(), POLLRDHUP, 0};
  ::poll(&asked, 1, static_cast<int>(limit.count()));
  if ((asked.revents & POLLERR) != 0) return OtherEnd::failed;
  return (asked.revents & (POLLHUP | POLLRDHUP)) != 0 ? OtherEnd::closed : OtherEnd::open;
}

std::vector<Named> no_streams_of_this_system() {
  sigset_t none;
  ::sigemptyset(&none);
  std::vector<Named> all;
  all.push_back({"an eventfd", Handle{::eventfd(0, EFD_CLOEXEC)}});
  all.push_back({"a timerfd", Handle{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)}});
  all.push_back({"a signalfd", Handle{::signalfd(-1, &none, SFD_CLOEXEC)}});
  return all;
}

std::vector<Named> files_of_unclear_type() {
  // Opened only to name it; a regular file to fstat(2) that has a poll method; one that has none.
  std::vector<Named> all;
  for (const auto& [path, flags] :
       {std::pair{"/", O_PATH}, std::pair{"/dev/null", O_PATH},
        std::pair{"/proc/self/mounts", O_RDONLY}, std::pair{"/proc/self/mountinfo", O_RDONLY},
        std::pair{"/proc/self/status", O_RDONLY}, std::pair{"/proc/self/fd", O_RDONLY}}) {
    Handle file{::open(path, flags | O_CLOEXEC)};
    if (file) all.push_back({path, std::move(file)});
  }
  return all;
}

bool set_peek_offset(const Handle& handle, int bytes) {
  return ::setsockopt(handle.get(), SOL_SOCKET, SO_PEEK_OFF, &bytes, sizeof bytes) == 0;
}

std::string fresh_unix_path() {
  return {};
}
void release_unix_path(const sockaddr*, int) {}

Handle make_vsock_socket() {
  return Handle{native::open_socket(AF_VSOCK, SOCK_STREAM, 0)};
}

bool start_fast_connect(const Handle& socket, const Handle& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(listener.get(), name, &size) != 0) return false;
  for (const int option : {TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE})
    set_option(socket, IPPROTO_TCP, option, 1, "TCP_FASTOPEN");
  return ::connect(socket.get(), name, size) == 0 || errno == EINPROGRESS;
}

bool can_play_dead() noexcept {
  return true;
}

namespace {

/// Of each packet that arrives the socket takes so many bytes.
void take_of_packets(const Handle& handle, std::uint32_t bytes) {
  sock_filter rule{BPF_RET | BPF_K, 0, 0, bytes};
  const sock_fprog program{1, &rule};
  set_option(handle, SOL_SOCKET, SO_ATTACH_FILTER, program, "SO_ATTACH_FILTER");
}

}  // namespace

void play_dead(const Handle& handle) {
  take_of_packets(handle, 0);
}

// Not SO_DETACH_FILTER, which qemu-user does not have: a filter takes the place of the one before.
void come_alive(const Handle& handle) {
  take_of_packets(handle, 0xffffffff);
}

void give_up_early(const Handle& handle) {
  set_option(handle, IPPROTO_TCP, TCP_USER_TIMEOUT, 1u, "TCP_USER_TIMEOUT");
}

void keep_alive(const Handle& handle, int questions) {
  set_option(handle, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE");
  set_option(handle, IPPROTO_TCP, TCP_KEEPIDLE, 1, "TCP_KEEPIDLE");
  set_option(handle, IPPROTO_TCP, TCP_KEEPINTVL, 1, "TCP_KEEPINTVL");
  set_option(handle, IPPROTO_TCP, TCP_KEEPCNT, questions, "TCP_KEEPCNT");
}

int last_signal() noexcept {
  return SIGRTMAX;
}
int behind_all_signals() noexcept {
  return SIGRTMAX + 1;
}

std::vector<Forking> forks_without_handlers() {
  return {
#if defined(SYS_clone) && !defined(__s390__)
    {"clone", [] { return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
#endif
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
        {"_Fork", [] { return ::_Fork(); }},
#endif
#endif
  };
}

bool in_a_child_that_shares(const std::function<bool()>& child) {
  struct Call {
    const std::function<bool()>& child;
    bool passed = false;
  } call{child};
  std::vector<std::max_align_t> stack(std::size_t{1} << 16);
  const auto run = [](void* called) {
    static_cast<Call*>(called)->passed = static_cast<Call*>(called)->child();
    return 0;
  };
  const pid_t pid =
      ::clone(run, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &call);
  return pid > 0 && ::waitpid(pid, nullptr, 0) == pid && call.passed;
}

void allow_debuggers() noexcept {
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

bool hold_as_debugger(pid_t pid) noexcept {
  return ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0;
}

}  // namespace pollux::support
