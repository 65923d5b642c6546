// SPDX-License-Identifier: MIT
// The probes, the identity of a descriptor and the wake handle, as POSIX has them.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux {

void WakeHandle::signal() const noexcept {
  const int saved_errno = errno;  // a signal handler's caller may be about to look at it
  // An eventfd takes eight bytes, a pipe any number. Full means: readable already.
  const std::uint64_t one = 1;
  detail::platform::uninterrupted([&] { return ::write(write_, &one, sizeof one); });
  errno = saved_errno;
}

void WakeHandle::drain() const noexcept {
  char buffer[512];
  const auto read = [&] { return ::read(read_, buffer, sizeof buffer); };
  while (detail::platform::uninterrupted(read) == static_cast<ssize_t>(sizeof buffer)) {
  }
}

bool WakeHandle::is_open() const noexcept {
  ++calls_;
  return ::fcntl(read_, F_GETFD) >= 0;
}

RawReady poll_once(NativeHandle handle, RawInterest interest, SystemCalls& calls) noexcept {
  short events = 0;
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  if (any(interest, RawInterest::pri)) events |= POLLPRI;
#if defined(POLLRDHUP)
  if (any(interest, RawInterest::rdhup)) events |= POLLRDHUP;
#endif
  const short seen = detail::platform::HandlePoller{calls}.look(handle, events).seen;
  RawReady ready = RawReady::none;
  if ((seen & POLLIN) != 0) ready |= RawReady::in;
  if ((seen & POLLOUT) != 0) ready |= RawReady::out;
  if ((seen & POLLPRI) != 0) ready |= RawReady::pri;
#if defined(POLLRDHUP)
  if ((seen & POLLRDHUP) != 0) ready |= RawReady::rdhup;
#endif
  if ((seen & POLLHUP) != 0) ready |= RawReady::hup;
  if ((seen & POLLERR) != 0) ready |= RawReady::err;
  return ready;
}

WakeHandle::WakeHandle(SystemCalls& calls, std::error_code& error) noexcept
    : calls_{calls}, fork_count_{fork_count()} {
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
  const unsigned count = detail::platform::forks().load(std::memory_order_relaxed);
  return count != 0 ? count : detail::platform::count_fork();
}

namespace detail::platform {

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

void forget_count() noexcept;

Forks& known_forks() noexcept {
  static Forks forks = [] {
    counted_by.store(::getpid(), std::memory_order_relaxed);
    const Forks made = make_forks();
    // In any case: qemu-user promises to wipe memory, and does not.
    ::pthread_atfork(nullptr, nullptr, &forget_count);
    return made;
  }();
  return forks;
}

/// In the child of a fork; unless somebody's fork handler that came first has had it counted.
void forget_count() noexcept {
  if (counted_by.load(std::memory_order_relaxed) != ::getpid())
    known_forks().count.store(0, std::memory_order_relaxed);
}

/// Also one whose other side is gone (EIO). isatty() would not do: musl's says ENOTTY of that one.
bool is_terminal(NativeHandle handle) noexcept {
  termios settings{};
  return ::tcgetattr(handle, &settings) == 0 || errno == EIO;
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
  if (!known_forks().shows) forget_count();
}

void System::close_handle(NativeHandle handle) noexcept {
  ++calls_;
  ::close(handle);
}

int System::shut_down(NativeHandle handle, Shutdown how, StreamType&) noexcept {
  constexpr int sides[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};  // in the order of Shutdown
  ++calls_;
  return ::shutdown(handle, sides[static_cast<std::size_t>(how)]) == 0 ? 0 : errno;
}

RawReady System::what_is_true(NativeHandle handle, StreamType type) noexcept {
  const RawReady ready =
      poll_once(handle, RawInterest::in | RawInterest::out | RawInterest::rdhup, calls_);
  if (!type.has(Quirk::silent)) return ready;
  // In no state of a connection, and not on the way to one, which its owner may have begun since.
  const PeerFin fin = probe_peer_fin(handle, type, RawReady::none).found;
  return fin == PeerFin::not_received ? ready : ready | RawReady::hup;
}

namespace {

int socket_option(System& system, NativeHandle handle, int name, int& value) noexcept {
  socklen_t size = sizeof value;
  return system.uninterrupted(
      [&] { return ::getsockopt(handle, SOL_SOCKET, name, &value, &size); });
}

}  // namespace

void HandlePoller::drop() noexcept {
  if (set_ != no_handle) ::close(std::exchange(set_, no_handle));
}

void HandlePoller::prepare() noexcept {
  drop();
  set_ = open_set();
}

Sight HandlePoller::look(NativeHandle handle, short events) noexcept {
  pollfd look{handle, events, 0};
  if (uninterrupted([&] { return ::poll(&look, 1, 0); }, calls_) >= 0) return {look.revents};
  if (errno != EINVAL) return {0, errno};
  return look_without_poll(handle, events);
}

Sight HandlePoller::look_without_poll(NativeHandle handle, short events) noexcept {
  if (set_ != no_handle) return look_by_set(set_, handle, events);
  const NativeHandle set = open_set();
  if (set == no_handle) return {0, errno};
  const Sight sight = look_by_set(set, handle, events);
  ++calls_;
  ::close(set);
  return sight;
}

bool is_about_the_handle(int error) noexcept {
  return error == EBADF || error == ENOTSOCK;
}

bool is_probes_own(int error) noexcept {
  switch (error) {
    case EBADF:
    case ENOTSOCK:
    case ENOMEM:
    case ENOBUFS:
    case EFAULT:
    case EMFILE:
    case ENFILE:
    case ENOSYS:  // this, and the next: what a sandbox says to a call that it forbids
    case EPERM:
      return true;
    default:
      return false;
  }
}

namespace {

/// Whether the owner peeks from an offset on: what others than Linux have no option for.
bool has_peek_offset([[maybe_unused]] System& system, [[maybe_unused]] NativeHandle handle,
                     [[maybe_unused]] std::error_code& error) noexcept {
  int offset = -1;
#if defined(SO_PEEK_OFF)
  // Not every family has it.
  if (socket_option(system, handle, SO_PEEK_OFF, offset) != 0 && is_probes_own(errno))
    error = error_code(errno);
#endif
  return offset >= 0;
}

}  // namespace

StreamType System::stream_type(NativeHandle handle, std::error_code& error) noexcept {
  error.clear();
  StreamType type;
  int value = 0;
  if (socket_option(*this, handle, SO_TYPE, value) == 0) {
    // Of a datagram, and of a packet of zero bytes, "a read returns 0" is no end. A listener has
    // none.
    if (value != SOCK_STREAM) error = Errc::not_a_stream;
    if (socket_option(*this, handle, SO_ACCEPTCONN, value) != 0) {
      if (is_probes_own(errno)) error = error_code(errno);
    } else if (value != 0) {
      error = Errc::not_a_stream;
    }
    if (!error) type.set(Quirk::peek_offset, has_peek_offset(*this, handle, error));
    if (!error) examine_socket(handle, type, error);
    return type;
  }
  if (errno != ENOTSOCK) {
    error = error_code(errno);
    return type;
  }
  identify(handle, error, calls_);
  if (error) return type;
  calls_ += 2;
  struct stat status {};
  ::fstat(handle, &status);
  if (S_ISFIFO(status.st_mode)) {
    const bool writes_only = (::fcntl(handle, F_GETFL) & O_ACCMODE) == O_WRONLY;
    type.kind = writes_only ? StreamKind::pipe_writer : StreamKind::pipe_reader;
  } else if (S_ISCHR(status.st_mode) && is_terminal(handle)) {
    type.kind = StreamKind::terminal;
  } else {
    error = Errc::not_a_stream;
  }
  return type;
}

namespace {

/// Sets the owner's peek offset aside, for as long as it lives: a peek would begin there, and move
/// it.
class PeekOffsetAside {
 public:
  PeekOffsetAside(System& system, NativeHandle handle) noexcept : system_{system}, handle_{handle} {
#if defined(SO_PEEK_OFF)
    if (socket_option(system, handle, SO_PEEK_OFF, offset_) != 0) error_ = errno;
    if (offset_ >= 0) error_ = put(none);
#endif
  }
  PeekOffsetAside(const PeekOffsetAside&) = delete;
  PeekOffsetAside& operator=(const PeekOffsetAside&) = delete;
  ~PeekOffsetAside() {
    if (offset_ >= 0 && error_ == 0) put(offset_);
  }

  /// Why it could not be done, or 0.
  int error() const noexcept {
    return error_;
  }

 private:
  static constexpr int none = -1;

  int put([[maybe_unused]] int offset) noexcept {
#if defined(SO_PEEK_OFF)
    const auto set = [&] {
      return ::setsockopt(handle_, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
    };
    if (system_.uninterrupted(set) != 0) return errno;
#endif
    return 0;
  }

  System& system_;
  NativeHandle handle_;
  int offset_ = none;
  int error_ = 0;
};

/// What a peek that failed says.
Answer<Inbound> failed_peek(System& system, NativeHandle handle, int error) noexcept {
  if (is_probes_own(error)) return no_answer<Inbound>(error);
  // An AF_UNIX stream that was never connected says EINVAL where TCP says ENOTCONN. An AF_VSOCK one
  // says so as well when its connect() has failed, and keeps the cause.
  if (error == EINVAL || error == ENOTCONN) {
    error = ENOTCONN;
    int cause = 0;
    if (socket_option(system, handle, SO_ERROR, cause) == 0 && cause != 0) error = cause;
  }
  return {Inbound::failed, Outcome::answered, error};
}

/// How ioctl() takes its request: as unsigned long, or with musl as int, for which some are too
/// large.
template <class Request>
Request request_of(int (*call)(int, Request, ...));
using IoctlRequest = decltype(request_of(&::ioctl));

/// Whether a terminal is a master in packet mode (TIOCPKT): a read of it begins with a control
/// byte.
bool has_packets([[maybe_unused]] System& system, [[maybe_unused]] NativeHandle handle) noexcept {
  int packets = 0;
#if defined(TIOCGPKT)
  constexpr auto request = static_cast<IoctlRequest>(TIOCGPKT);
  system.uninterrupted([&] { return ::ioctl(handle, request, &packets); });
#endif
  return packets != 0;
}

/// -1 and errno, or how many bytes are unread. A terminal whose other side is gone fails the count
/// with EIO: it has none.
int count_unread(System& system, NativeHandle handle) noexcept {
  int unread = 0;
  if (system.uninterrupted([&] { return ::ioctl(handle, FIONREAD, &unread); }) == 0) return unread;
  return is_probes_own(errno) ? -1 : 0;
}

/// What is up now. Where that cannot be seen, what was reported must do, if it can be believed.
Sight look_or_believe(System& system, NativeHandle handle, short events, RawReady known) noexcept {
  Sight sight = system.look(handle, events);
  if (sight.error == 0 || known == RawReady::none) return sight;
  sight = {};
  if (any(known, RawReady::in)) sight.seen |= POLLIN;
  if (any(known, RawReady::hup)) sight.seen |= POLLHUP;
  if (any(known, RawReady::err)) sight.seen |= POLLERR;
  return sight;
}

Answer<Inbound> count_in_pipe(System& system, NativeHandle handle, RawReady known) noexcept {
  // Not what was reported: a FIFO may have got another writer.
  const Sight sight = look_or_believe(system, handle, POLLIN, known);
  if (sight.error != 0) return no_answer<Inbound>(sight.error);
  if ((sight.seen & POLLNVAL) != 0) return no_answer<Inbound>(EBADF);
  // Counted after the look: bytes that a writer left before it hung up are seen.
  const int unread = count_unread(system, handle);
  if (unread < 0) return no_answer<Inbound>(errno);
  if (unread > 0) return {Inbound::bytes};
  return {(sight.seen & POLLHUP) != 0 ? Inbound::end : Inbound::empty};
}

Answer<Inbound> count_in_terminal(System& system, NativeHandle handle, RawReady known) noexcept {
  const Sight sight = look_or_believe(system, handle, POLLIN, known);
  if (sight.error != 0) return no_answer<Inbound>(sight.error);
  if ((sight.seen & POLLNVAL) != 0) return no_answer<Inbound>(EBADF);
  const int unread = count_unread(system, handle);
  if (unread < 0) return no_answer<Inbound>(errno);
  if (unread > 0) return {Inbound::bytes};
  // Readable without a byte: in packet mode a read gives a control byte, else the end was typed.
  if ((sight.seen & POLLIN) != 0 && has_packets(system, handle)) return {Inbound::bytes};
  return {(sight.seen & (POLLIN | POLLHUP)) != 0 ? Inbound::end : Inbound::empty};
}

}  // namespace

Answer<Inbound> System::peek(NativeHandle handle) noexcept {
  char byte;
  const auto count =
      uninterrupted([&] { return ::recv(handle, &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
  if (count > 0) return {Inbound::bytes};
  if (count == 0) return {Inbound::end};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Inbound::empty};
  return failed_peek(*this, handle, errno);
}

Answer<Inbound> System::look_inside(NativeHandle handle, StreamType type, RawReady known) noexcept {
  if (type.kind == StreamKind::socket) {
    const PeekOffsetAside aside{*this, handle};
    return aside.error() == 0 ? peek(handle) : no_answer<Inbound>(aside.error());
  }
  return type.kind == StreamKind::terminal ? count_in_terminal(*this, handle, known)
                                           : count_in_pipe(*this, handle, known);
}

Answer<Outbound> System::probe_outbound(NativeHandle handle) noexcept {
  const auto send = [&] { return send_nothing(handle); };
  const int error = platform::uninterrupted(send) < 0 ? errno : 0;
  if (error == EAGAIN || error == EWOULDBLOCK) return {Outbound::full};
  if (is_probes_own(error)) return no_answer<Outbound>(error);
  const bool is_over = error == EPIPE || error == ENOTCONN;
  if (error != 0 && !is_over) return {Outbound::failed, Outcome::answered, error};
  // With room to write not asked for, no kernel says HUP for an outbound side that is over by
  // itself.
  const Sight sight = look(handle, is_over ? POLLIN : POLLOUT);
  if (sight.error != 0) return no_answer<Outbound>(sight.error);
  if (is_over) return {(sight.seen & POLLHUP) != 0 ? Outbound::both : Outbound::over};
  return {(sight.seen & POLLOUT) != 0 ? Outbound::open : Outbound::full};
}

Answer<int> System::take_error(NativeHandle handle, StreamKind kind, RawReady known) noexcept {
  if (kind == StreamKind::pipe_writer) {
    const Sight sight = look_or_believe(*this, handle, POLLOUT, known);
    if (sight.error != 0) return no_answer<int>(sight.error);
    if ((sight.seen & POLLNVAL) != 0) return no_answer<int>(EBADF);
    return {(sight.seen & (POLLERR | POLLHUP)) != 0 ? EPIPE : 0};
  }
  int error = 0;
  if (socket_option(*this, handle, SO_ERROR, error) == 0) return {error};
  return is_probes_own(errno) ? no_answer<int>(errno) : Answer<int>{};
}

}  // namespace detail::platform

}  // namespace pollux
