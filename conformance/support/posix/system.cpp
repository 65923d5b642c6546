// SPDX-License-Identifier: MIT
#include "conformance/support/system.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#include <sys/resource.h>
#include <sys/utsname.h>

#include "conformance/support/child_process.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/signal_numbers.hpp"
#include "conformance/support/tcp_pair.hpp"
#include "native_sockets.hpp"

namespace pollux::support {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

int check(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

Pair configured(const std::array<int, 2>& ends) {
  return {Handle{native::configured(ends[0])}, Handle{native::configured(ends[1])}};
}

}  // namespace

int Handle::close() noexcept {
  if (handle_ < 0) return 0;
  return ::close(std::exchange(handle_, no_handle)) == 0 ? 0 : -errno;
}

std::span<const PairKind> available_pair_kinds() noexcept {
  static constexpr PairKind all[] = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream,
                                     PairKind::pipe};
  return all;
}

PairKind cheapest_pair_kind() noexcept {
  return PairKind::unix_stream;
}

Pair make_pair(PairKind kind, Protocol protocol) {
  std::array<int, 2> ends{};
  if (kind == PairKind::pipe) {
    check(::pipe(ends.data()), "pipe");
  } else if (kind == PairKind::unix_stream) {
    check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), "socketpair");
  } else {
    return make_tcp_pair(kind, protocol);
  }
  return configured(ends);
}

long write_bytes(const Handle& handle, std::string_view bytes) {
  auto count = native::send(handle.get(), bytes.data(), bytes.size(), 0);
  // Pipes have no send(); tests that break one ignore SIGPIPE.
  if (count < 0 && errno == ENOTSOCK) count = ::write(handle.get(), bytes.data(), bytes.size());
  return count >= 0 ? count : -errno;
}

long read_onto(std::string& text, const Handle& handle) {
  std::array<char, 65536> buffer;
  const auto count = ::read(handle.get(), buffer.data(), buffer.size());
  if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  return count >= 0 ? static_cast<long>(count) : -errno;
}

long read_bytes(const Handle& handle, std::size_t most) {
  std::array<char, 65536> buffer;
  const auto count = ::read(handle.get(), buffer.data(), std::min(most, buffer.size()));
  return count >= 0 ? static_cast<long>(count) : -errno;
}

Handle duplicate(const Handle& handle) {
  return Handle{check(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0), "dup")};
}

Handle duplicate_at(const Handle& handle, NativeHandle number) {
  Handle copy{::fcntl(handle.get(), F_DUPFD_CLOEXEC, number)};
  if (copy.get() != number) copy.close();
  return copy;
}

bool is_open(NativeHandle handle) noexcept {
  return ::fcntl(handle, F_GETFD) != -1;
}

std::vector<NativeHandle> never_open() {
  return {-1, INT_MAX};
}

RegularFile::RegularFile() {
  std::string path = std::filesystem::temp_directory_path() / "pollux-XXXXXX";
  file_ = check(::mkstemp(path.data()), "mkstemp");
  ::fcntl(file_, F_SETFD, FD_CLOEXEC);
  ::unlink(path.c_str());
}
RegularFile::~RegularFile() {
  ::close(file_);
}

void set_blocking(const Handle& handle, bool blocking) {
  check(::fcntl(handle.get(), F_SETFL, blocking ? 0 : O_NONBLOCK), "F_SETFL");
}

int settings_of(const Handle& handle) {
  return ::fcntl(handle.get(), F_GETFL);
}

bool await(NativeHandle handle, Await what, std::chrono::milliseconds limit) {
  const short events = what == Await::readable   ? short{POLLIN}
                       : what == Await::writable ? short{POLLOUT}
                                                 : short{0};
  native::Polled asked{handle, events, 0};  // which passes over no_handle
  return native::poll(&asked, static_cast<int>(limit.count())) == 1;
}

bool await_close(PairKind kind, const Handle& handle, std::chrono::milliseconds limit) {
  return await(handle, kind == PairKind::pipe ? Await::hang_up : Await::readable, limit);
}

Handle open_master() {
  Handle master{native::configured(check(::posix_openpt(O_RDWR | O_NOCTTY), "posix_openpt"))};
  check(::grantpt(master.get()), "grantpt");
  check(::unlockpt(master.get()), "unlockpt");
  return master;
}

std::optional<Pair> make_packet_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) != 0) return std::nullopt;
  return configured(ends);
}

void set_environment(const char* name, const char* value) {
  if (value != nullptr) {
    ::setenv(name, value, 1);
  } else {
    ::unsetenv(name);
  }
}

bool can_fork() noexcept {
  return true;
}

bool run_forked(const std::function<bool()>& child) {
  return in_a_child(child);
}

void end_process(bool killed) {
  if (killed) ::raise(SIGKILL);
  ::_exit(0);
}

struct Gate::State {
  Pair pipe = make_pair(PairKind::pipe);
};

Gate::Gate() : state_{std::make_unique<State>()} {}
Gate::~Gate() = default;
void Gate::open() {
  state_->pipe.peer.close();
}
void Gate::pass() {
  state_->pipe.peer.close();  // the copy's own, which would hold it closed
  pollfd waited{state_->pipe.local.get(), POLLIN, 0};
  ::poll(&waited, 1, -1);
}

ChildProcess::ChildProcess(const std::function<int()>& code) : pid_{::fork()} {
  if (pid_ == 0) ::_exit(code());
}
ChildProcess::ChildProcess(int code) : ChildProcess{[code] { return code; }} {}
ChildProcess::ChildProcess(Gate& gate, int code)
    : ChildProcess{[&gate, code] { return gate.pass(), code; }} {}
ChildProcess::~ChildProcess() {
  if (pid_ <= 0 || !is_there()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}
void ChildProcess::await_end() const {
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
}
bool ChildProcess::is_there() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

std::vector<int> never_children() {
  return {-1, 0, ::getpid(), ::getppid()};
}

int signal_of_ours(std::size_t which) noexcept {
  return which == 0 ? SIGUSR1 : SIGUSR2;
}

void raise_signal(int signal) {
  ::kill(::getpid(), signal);
}

void (*handler_of(int signal))(int) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  return now.sa_handler;
}

std::vector<int> never_signals() {
  std::vector<int> all = {-1,      0,      128,    4096,   SIGKILL, SIGSTOP,
                          SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  all.push_back(behind_all_signals());
  return all;
}

namespace {

/// Whether this process is there afterwards.
bool change_handlers_meanwhile() {
  std::signal(SIGUSR1, SIG_IGN);
  std::atomic<bool> done = false;
  const auto raise = [&] {
    while (!done) std::raise(SIGUSR1);
  };
  std::thread raisers[] = {std::thread{raise}, std::thread{raise}};
  for (int i = 0; i < 300'000; ++i) {
    std::signal(SIGUSR1, [](int) {});
    std::signal(SIGUSR1, SIG_IGN);
  }
  done = true;
  for (std::thread& raiser : raisers) raiser.join();
  return true;
}

}  // namespace

bool handlers_may_change_while_signals_come() {
  // qemu-user 7.2 reads the handler twice without a lock, and may jump to SIG_IGN.
  static const bool may_change = emulator().empty() || run_forked(&change_handlers_meanwhile);
  return may_change;
}

bool can_limit_descriptors() noexcept {
  return true;
}

DescriptorLimit::DescriptorLimit(std::size_t most) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  before_ = static_cast<std::size_t>(limit.rlim_cur);
  limit.rlim_cur = static_cast<rlim_t>(most);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}
DescriptorLimit::~DescriptorLimit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = static_cast<rlim_t>(before_);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t NoDescriptorLeft::lowest_free() {
  return static_cast<std::size_t>(Handle{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)}.get());
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);  // a pipe has no MSG_NOSIGNAL
}

std::string system_name() {
  utsname names{};
  ::uname(&names);
  return std::string{names.sysname} + ' ' + names.release + ' ' + names.machine;
}

bool is_terminal_output() noexcept {
  return ::isatty(STDOUT_FILENO) == 1;
}
bool is_terminal_errors() noexcept {
  return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace pollux::support
