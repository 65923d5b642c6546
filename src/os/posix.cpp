// SPDX-License-Identifier: MIT
// The probes, the identity of a descriptor and the wake handle, as POSIX has them.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "os/os.hpp"

namespace pollux {

void WakeHandle::signal() const noexcept {
  const int saved_errno = errno;  // a signal handler's caller may be about to look at it
  // An eventfd takes eight bytes, a pipe any number. Full means: readable already.
  const std::uint64_t one = 1;
  detail::os::uninterrupted([&] { return ::write(write_, &one, sizeof one); });
  errno = saved_errno;
}

void WakeHandle::drain() const noexcept {
  char buffer[512];
  const auto read = [&] { return ::read(read_, buffer, sizeof buffer); };
  while (detail::os::uninterrupted(read) == static_cast<ssize_t>(sizeof buffer)) {
  }
}

bool WakeHandle::is_open(std::uint64_t& calls) const noexcept {
  ++calls;
  return ::fcntl(read_, F_GETFD) >= 0;
}

RawReady poll_once(NativeHandle handle, RawInterest interest, std::uint64_t& calls) noexcept {
  short events = 0;
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  if (any(interest, RawInterest::pri)) events |= POLLPRI;
  const short seen = detail::os::look(handle, events, calls);
  RawReady ready = RawReady::none;
  if ((seen & POLLIN) != 0) ready |= RawReady::in;
  if ((seen & POLLOUT) != 0) ready |= RawReady::out;
  if ((seen & POLLPRI) != 0) ready |= RawReady::pri;
  if ((seen & POLLHUP) != 0) ready |= RawReady::hup;
  if ((seen & POLLERR) != 0) ready |= RawReady::err;
  return ready;
}

WakeHandle::WakeHandle(std::error_code& error) noexcept : fork_count_{fork_count()} {
  error = open();
}

WakeHandle::~WakeHandle() {
  if (write_ != read_ && write_ >= 0) ::close(write_);
  if (read_ >= 0) ::close(read_);
}

std::error_code WakeHandle::renew_after_fork() noexcept {
  if (fork_count_ == fork_count()) return {};
  const NativeHandle read = read_;
  const NativeHandle write = write_;
  if (const auto error = open()) return error;
  if (write != read) ::close(write);
  ::close(read);
  fork_count_ = fork_count();
  return {};
}

unsigned fork_count() noexcept {
  const unsigned count = detail::os::forks().load(std::memory_order_relaxed);
  return count != 0 ? count : detail::os::count_fork();
}

namespace detail::os {

namespace {

/// How often this process is the child of a fork, counted from 1; 0 in a child that nobody has
/// counted yet.
struct Forks {
  std::atomic<unsigned>& count;
  bool shows;  ///< a child that is made without fork handlers finds the count wiped
};

/// Linux 4.14 wipes memory for a child, if asked to (madvise(2)), whatever call makes it. One that
/// shares the memory (vfork(2)) sees what its parent sees, and is no child here.
Forks make_forks() noexcept {
#if defined(MADV_WIPEONFORK)
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) {
    if (::madvise(page, size, MADV_WIPEONFORK) == 0)
      return {*::new (page) std::atomic<unsigned>{1}, true};
    ::munmap(page, size);
  }
#endif
  static std::atomic<unsigned> count{1};
  return {count, false};
}

std::atomic<unsigned> counted{1};  ///< the count, where nothing wipes it
std::atomic<pid_t> counted_by{0};  ///< the process that counted

Forks& known_forks() noexcept {
  static Forks forks = [] {
    counted_by.store(::getpid(), std::memory_order_relaxed);
    const Forks made = make_forks();
    if (!made.shows) ::pthread_atfork(nullptr, nullptr, [] { known_forks().count.store(0); });
    return made;
  }();
  return forks;
}

}  // namespace

const std::atomic<unsigned>& forks() noexcept {
  return known_forks().count;
}

unsigned count_fork() noexcept {
  std::atomic<unsigned>& count = known_forks().count;
  unsigned nobody_has = 0;
  const unsigned next = counted.load(std::memory_order_acquire) + 1;
  if (!count.compare_exchange_strong(nobody_has, next)) return nobody_has;  // somebody has
  counted_by.store(::getpid(), std::memory_order_relaxed);
  counted.store(next, std::memory_order_release);
  return next;
}

void look_for_fork() noexcept {
  const Forks& known = known_forks();
  if (!known.shows && counted_by.load(std::memory_order_relaxed) != ::getpid())
    known.count.store(0, std::memory_order_relaxed);
}

void close_handle(NativeHandle handle, std::uint64_t& calls) noexcept {
  ++calls;
  ::close(handle);
}

namespace {

int socket_option(NativeHandle handle, int name, int& value, std::uint64_t& calls) noexcept {
  socklen_t size = sizeof value;
  return uninterrupted([&] { return ::getsockopt(handle, SOL_SOCKET, name, &value, &size); },
                       calls);
}

}  // namespace

short look(NativeHandle handle, short events, std::uint64_t& calls) noexcept {
  pollfd look{handle, events, 0};
  return uninterrupted([&] { return ::poll(&look, 1, 0); }, calls) > 0 ? look.revents : short{0};
}

StreamKind stream_kind(NativeHandle handle, std::error_code& error, std::uint64_t& calls) noexcept {
  error.clear();
  int value = 0;
  if (socket_option(handle, SO_TYPE, value, calls) == 0) {
    // Of a datagram, and of a packet of zero bytes, "a read returns 0" is no end. A listener has
    // none.
    if (value != SOCK_STREAM) error = Errc::not_a_stream;
    if (socket_option(handle, SO_ACCEPTCONN, value, calls) == 0 && value != 0)
      error = Errc::not_a_stream;
    return StreamKind::socket;
  }
  identify(handle, error, calls);
  if (error) return StreamKind::socket;
  calls += 2;
  struct stat status {};
  ::fstat(handle, &status);
  if (S_ISFIFO(status.st_mode)) {
    const bool writes_only = (::fcntl(handle, F_GETFL) & O_ACCMODE) == O_WRONLY;
    return writes_only ? StreamKind::pipe_writer : StreamKind::pipe_reader;
  }
  if (S_ISCHR(status.st_mode) && ::isatty(handle) != 0) return StreamKind::terminal;
  error = Errc::not_a_stream;
  return StreamKind::socket;
}

namespace {

bool is_gone(int error) noexcept {
  return error == EBADF || error == ENOTSOCK;
}

Answer<Inbound> peek(NativeHandle handle, std::uint64_t& calls) noexcept {
  char byte;
  const auto count =
      uninterrupted([&] { return ::recv(handle, &byte, 1, MSG_PEEK | MSG_DONTWAIT); }, calls);
  if (count > 0) return {Inbound::bytes};
  if (count == 0) return {Inbound::end};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Inbound::empty};
  if (is_gone(errno)) return {Inbound::empty, 0, true};
  // An AF_UNIX stream that was never connected says EINVAL where TCP says ENOTCONN.
  return {Inbound::failed, errno == EINVAL ? ENOTCONN : errno};
}

Answer<Inbound> count_bytes(NativeHandle handle, StreamKind kind, std::uint64_t& calls) noexcept {
  int unread = 0;
  const short seen = look(handle, POLLIN, calls);
  if ((seen & POLLNVAL) != 0) return {Inbound::empty, 0, true};
  // Counted after the look: bytes that a writer left before it hung up are seen. A terminal whose
  // other side is gone fails the count with EIO: it has none.
  if (uninterrupted([&] { return ::ioctl(handle, FIONREAD, &unread); }, calls) != 0 &&
      errno == EBADF)
    return {Inbound::empty, 0, true};
  if (unread > 0) return {Inbound::bytes};
  // A terminal is readable without a byte when the end was typed (VEOF). With a pipe that means
  // that another reader was faster.
  const short end = kind == StreamKind::terminal ? POLLHUP | POLLIN : POLLHUP;
  return {(seen & end) != 0 ? Inbound::end : Inbound::empty};
}

}  // namespace

Answer<Inbound> probe_inbound(NativeHandle handle, StreamKind kind, std::uint64_t& calls) noexcept {
  return kind == StreamKind::socket ? peek(handle, calls) : count_bytes(handle, kind, calls);
}

Answer<Outbound> probe_outbound(NativeHandle handle, std::uint64_t& calls) noexcept {
  if (uninterrupted([&] { return send_nothing(handle, calls); }) >= 0)
    return {(look(handle, POLLOUT, calls) & POLLOUT) != 0 ? Outbound::open : Outbound::full};
  // With room to write not asked for, no kernel says HUP for an outbound side that is over by
  // itself.
  if (errno == EPIPE || errno == ENOTCONN)
    return {(look(handle, POLLIN, calls) & POLLHUP) != 0 ? Outbound::both : Outbound::over};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Outbound::full};
  if (is_gone(errno)) return {Outbound::open, 0, true};
  return {Outbound::failed, errno};
}

int take_error(NativeHandle handle, StreamKind kind, std::uint64_t& calls) noexcept {
  if (kind == StreamKind::pipe_writer) {
    return (look(handle, POLLOUT, calls) & (POLLERR | POLLHUP)) != 0 ? EPIPE : 0;
  }
  int error = 0;
  return socket_option(handle, SO_ERROR, error, calls) == 0 ? error : 0;
}

}  // namespace detail::os

}  // namespace pollux
