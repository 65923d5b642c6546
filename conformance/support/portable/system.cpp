// SPDX-License-Identifier: MIT
// What POSIX systems without a file of their own have in place of ../linux/system.cpp: macOS, the
// BSDs. None of their kernels has run it yet.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include <sys/resource.h>

#include "conformance/support/child_process.hpp"
#include "conformance/support/signal_numbers.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/unix_paths.hpp"
#include "native_sockets.hpp"

namespace pollux::support {

bool has_multipath() {
  return false;
}

const SystemFacts& system_facts() noexcept {
  static constexpr SystemFacts facts{
      .raw_flags_are_linux = false, .errors_name_the_peer = false, .receives_in_batches = false};
  return facts;
}

std::string left_out_here() {
  return "not here: MPTCP, AF_VSOCK, eventfds, SO_PEEK_OFF, the error queue of a socket\n"
         "not here: a peer that is dead to the network, a connection by TCP Fast Open\n"
         "not here: children that are made without fork handlers, and those that share memory\n";
}

std::size_t open_descriptors() {
  // A listing of /dev/fd is not everywhere one of all.
  constexpr rlim_t looked_at = 65536;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<NativeHandle>(std::min(limit.rlim_cur, looked_at));
  std::size_t count = 0;
  for (NativeHandle number = 0; number < end; ++number) count += is_open(number) ? 1u : 0u;
  return count;
}

namespace {

/// The flag of a peer's end, where poll() has one besides HUP. (On FreeBSD its number is another
/// than on Linux.)
#if defined(POLLRDHUP)
constexpr short read_hang_up = POLLRDHUP;
#else
constexpr short read_hang_up = 0;
#endif

OtherEnd look_at_other_end(const Handle& handle) {
  pollfd asked{handle.get(), POLLIN | read_hang_up, 0};
  native::poll(&asked, 0);
  char byte = 0;
  const long peeked = native::receive(handle.get(), &byte, 1, MSG_PEEK);  // which leaves a failure
  if (peeked == 0) return OtherEnd::closed;
  if (peeked < 0 && errno != EAGAIN && errno != ENOTSOCK) return OtherEnd::failed;
  return (asked.revents & (POLLHUP | read_hang_up)) != 0 ? OtherEnd::closed : OtherEnd::open;
}

}  // namespace

OtherEnd look_at_other_end(const Handle& handle, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  OtherEnd seen = look_at_other_end(handle);
  // Unread bytes end a wait for the end behind them at once.
  while (seen == OtherEnd::open && std::chrono::steady_clock::now() < end) {
    ::poll(nullptr, 0, 1);
    seen = look_at_other_end(handle);
  }
  return seen;
}

std::optional<std::uint64_t> bytes_received(NativeHandle) {
  return std::nullopt;
}

bool set_peek_offset(const Handle&, int) {
  return false;
}

std::vector<Named> no_streams_of_this_system() {
  return {};
}
std::vector<Named> files_of_unclear_type() {
  return {};
}

namespace {

/// A folder for the sockets of this process, which goes with it.
class SocketFolder {
 public:
  SocketFolder() : path_{std::filesystem::temp_directory_path() / "pollux-XXXXXX"} {
    if (::mkdtemp(path_.data()) == nullptr)
      throw std::system_error{errno, std::generic_category(), "mkdtemp"};
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  ~SocketFolder() {
    std::error_code ignored;
    if (::getpid() == made_by_) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  pid_t made_by_ = ::getpid();
};

}  // namespace

std::string fresh_unix_path() {
  static const SocketFolder folder;
  static std::atomic<unsigned> made{0};
  // Of its process as well: a child goes on with its parent's folder, and its parent's count.
  return folder.path() + '/' + std::to_string(::getpid()) + '.' + std::to_string(++made);
}

void release_unix_path(const sockaddr* name, int type) {
  const Handle probe{native::open_socket(AF_UNIX, type, 0)};
  sockaddr_un known = reinterpret_cast<const sockaddr_un&>(*name);
  known.sun_path[sizeof known.sun_path - 1] = 0;
  if (::connect(probe.get(), name, sizeof known) != 0 && errno == ECONNREFUSED)
    ::unlink(known.sun_path);
}

int last_signal() noexcept {
  return SIGWINCH;
}
int behind_all_signals() noexcept {
#if defined(_SIG_MAXSIG)
  return _SIG_MAXSIG + 1;  // FreeBSD's NSIG leaves those of real time out
#else
  return NSIG;
#endif
}

std::vector<Forking> forks_without_handlers() {
  return {};
}

bool in_a_child_that_shares(const std::function<bool()>&) {
  return true;
}

void allow_debuggers() noexcept {}

bool hold_as_debugger(pid_t) noexcept {
  return false;
}

}  // namespace pollux::support
