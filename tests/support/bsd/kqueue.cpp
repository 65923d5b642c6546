// SPDX-License-Identifier: MIT
// kqueue(2) on Linux, for tests: filters as FreeBSD and macOS document them, over what Linux says
// of the same descriptor. It is no kqueue: a shutdown, a reset and an end reach it by Linux's
// rules, and what a BSD's sockets do differently below kevent() is not played. A filter is a
// candidate once something has happened to its file, is evaluated when somebody waits, and stays a
// candidate for as long as it is true, unless EV_CLEAR has it reported once.
#include "support/bsd/kqueue.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pollux::bsd {

namespace {

/// Past the close() of this file, which has queues forget what they watch.
int close_only(int handle) {
  return static_cast<int>(::syscall(SYS_close, handle));
}

bool is_open(int handle) {
  return ::fcntl(handle, F_GETFD) >= 0;
}
bool is_socket(int handle) {
  struct stat status {};
  return ::fstat(handle, &status) == 0 && S_ISSOCK(status.st_mode);
}
bool is_pipe(int handle) {
  struct stat status {};
  return ::fstat(handle, &status) == 0 && S_ISFIFO(status.st_mode);
}
bool is_open_for(int handle, int access) {
  const int mode = ::fcntl(handle, F_GETFL) & O_ACCMODE;
  return mode == O_RDWR || mode == access;
}

struct Knote {
  struct kevent asked {};
  std::uint64_t serial = 0;
  bool candidate = false;
  bool triggered = false;  ///< EVFILT_USER; EVFILT_PROC
  bool has_begun = false;  ///< a TCP socket that was seen connecting, or connected
  int process = -1;        ///< EVFILT_PROC: a pidfd
};

/// What a filter says of its file: whether it is true, and what it reports.
struct Found {
  bool active = false;
  bool eof = false;
  unsigned error = 0;
  std::int64_t data = 0;
};

/// Linux does not say which without taking it away from whoever asks later. (Without a hang-up it
/// is a notice in the error queue, which a BSD does not have.)
unsigned error_of(int handle, short seen) {
  const bool has_failed = (seen & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP);
  return has_failed && is_socket(handle) ? ECONNRESET : 0;
}

bool is_stream(int handle) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(handle, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/// TCP's state; nothing of another socket.
std::optional<std::uint8_t> tcp_state(int handle) {
  std::uint8_t state = 0;
  socklen_t size = sizeof state;
  if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &state, &size) != 0) return std::nullopt;
  return state;
}

/// What poll() says. A socket that was never connected is hung up to Linux, and nothing to a BSD.
short look_at(Knote& knote, short events) {
  const int handle = static_cast<int>(knote.asked.ident);
  pollfd look{handle, static_cast<short>(events | POLLRDHUP), 0};
  ::poll(&look, 1, 0);
  if (!is_socket(handle)) return look.revents;
  const std::optional<std::uint8_t> state = tcp_state(handle);
  if (state && *state != TCP_CLOSE && *state != TCP_LISTEN) knote.has_begun = true;
  if ((look.revents & (POLLHUP | POLLRDHUP)) != POLLHUP) return look.revents;
  return knote.has_begun ? static_cast<short>(look.revents | POLLRDHUP) : short{0};
}

Found evaluate_read(Knote& knote) {
  const int handle = static_cast<int>(knote.asked.ident);
  const short seen = look_at(knote, POLLIN);
  Found found;
  found.eof = (seen & (is_socket(handle) ? POLLRDHUP : POLLHUP)) != 0;
  if (found.eof) found.error = error_of(handle, seen);
  int unread = 0;
  if (::ioctl(handle, FIONREAD, &unread) == 0) found.data = unread;
  const bool enough = (knote.asked.fflags & NOTE_LOWAT) == 0 || found.data >= knote.asked.data;
  // A pending error makes it readable. (Of a stream Linux raises the bit for a mere notice, too.)
  const bool has_failed = is_socket(handle) && !is_stream(handle) && (seen & POLLERR) != 0;
  found.active = found.eof || has_failed || ((seen & POLLIN) != 0 && enough);
  return found;
}

/// Whether our own FIN is sent, or nobody will ever read.
bool is_write_over(int handle, short seen) {
  if (!is_socket(handle)) return (seen & (POLLERR | POLLHUP)) != 0;
  if (const std::optional<std::uint8_t> state = tcp_state(handle)) {
    if (*state == TCP_CLOSE) return (seen & POLLRDHUP) != 0;
    return *state != TCP_ESTABLISHED && *state != TCP_CLOSE_WAIT && *state != TCP_SYN_SENT &&
           *state != TCP_SYN_RECV && *state != TCP_LISTEN;
  }
  if (!is_stream(handle)) return (seen & POLLHUP) != 0;
  // A zero send disturbs nothing on an AF_UNIX stream.
  return ::send(handle, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE;
}

Found evaluate_write(Knote& knote) {
  const int handle = static_cast<int>(knote.asked.ident);
  const short seen = look_at(knote, POLLOUT);
  Found found;
  found.eof = is_write_over(handle, seen);
  if (found.eof) found.error = error_of(handle, seen);
  const bool room = (seen & POLLOUT) != 0 && (knote.asked.fflags & NOTE_LOWAT) == 0;
  found.active = found.eof || room;
  return found;
}

Found evaluate(Knote& knote) {
  if (knote.asked.filter == EVFILT_READ) return evaluate_read(knote);
  if (knote.asked.filter == EVFILT_WRITE) return evaluate_write(knote);
  Found found;
  found.active = knote.triggered;
  found.eof = knote.triggered && knote.asked.filter == EVFILT_PROC;
  return found;
}

struct Failure {
  short filter = 0;
  unsigned flags = 0;
  int error = 0;
};

std::mutex mutex;
Failure planned;
std::uint64_t last_serial = 0;

class Queue {
 public:
  /// `number` is what epoll_create1() gave: readable while one of these is.
  explicit Queue(int number) : number_{number} {
    for (const int part : {reads_, writes_, pending_}) {
      epoll_event event{};
      event.events = EPOLLIN;
      ::epoll_ctl(number_, EPOLL_CTL_ADD, part, &event);
    }
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    for (auto& [key, knote] : knotes_) {
      if (knote.process >= 0) close_only(knote.process);
    }
    for (const int part : {reads_, writes_, pending_}) {
      if (part >= 0) close_only(part);
    }
  }

  /// Whether the process had the descriptors for it.
  explicit operator bool() const { return reads_ >= 0 && writes_ >= 0 && pending_ >= 0; }

  int apply(const struct kevent& change) {
    if (change.filter == planned.filter && (change.flags & planned.flags) != 0)
      return std::exchange(planned, {}).error;
    const Key key{change.ident, change.filter};
    const auto known = knotes_.find(key);
    if ((change.flags & EV_ADD) != 0 && known == knotes_.end()) return add(key, change);
    const bool is_of_a_file = change.filter == EVFILT_READ || change.filter == EVFILT_WRITE;
    if (is_of_a_file && !is_open(static_cast<int>(change.ident))) return EBADF;
    if (known == knotes_.end()) return ENOENT;
    if ((change.flags & EV_DELETE) != 0) {
      remove(known);
      return 0;
    }
    // As FreeBSD: what is modified is this, and EV_CLEAR is not.
    known->second.asked.udata = change.udata;
    known->second.asked.fflags = change.fflags;
    known->second.asked.data = change.data;
    known->second.candidate = true;
    if ((change.fflags & NOTE_TRIGGER) != 0 && change.filter == EVFILT_USER)
      known->second.triggered = true;
    if (evaluate(known->second).active) set_pending(true);
    return 0;
  }

  /// Fills `events` from where the last call left off.
  int collect(struct kevent* events, int room) {
    take_wakeups();
    int count = 0;
    bool more = false;
    auto at = knotes_.upper_bound(last_);
    for (std::size_t seen = 0; seen < knotes_.size(); ++seen, ++at) {
      if (at == knotes_.end()) at = knotes_.begin();
      Knote& knote = at->second;
      if (!knote.candidate) continue;
      const Found found = evaluate(knote);
      knote.candidate = found.active;
      if (!found.active) continue;
      if (count == room) {
        more = true;
        continue;
      }
      last_ = at->first;
      events[count] = knote.asked;
      events[count].flags =
          static_cast<unsigned short>((knote.asked.flags & EV_CLEAR) | (found.eof ? EV_EOF : 0));
      events[count].fflags = found.error;
      events[count].data = found.data;
      ++count;
      if ((knote.asked.flags & EV_CLEAR) != 0) {
        knote.candidate = knote.triggered = false;
      } else {
        more = true;
      }
    }
    set_pending(more);
    return count;
  }

  /// A filter goes when its descriptor is closed.
  void forget(int handle) {
    for (const short filter : {short{EVFILT_READ}, short{EVFILT_WRITE}}) {
      const auto known = knotes_.find(Key{static_cast<uintptr_t>(handle), filter});
      if (known != knotes_.end()) remove(known);
    }
  }

 private:
  using Key = std::pair<uintptr_t, short>;
  using Knotes = std::map<Key, Knote>;

  int add(const Key& key, const struct kevent& change) {
    Knote knote;
    knote.asked = change;
    knote.serial = ++last_serial;
    knote.candidate = true;
    if (const int error = attach(knote)) return error;
    if (evaluate(knotes_.emplace(key, knote).first->second).active) set_pending(true);
    return 0;
  }

  int attach(Knote& knote) {
    const auto handle = static_cast<int>(knote.asked.ident);
    if (knote.asked.filter == EVFILT_USER) {
      knote.triggered = (knote.asked.fflags & NOTE_TRIGGER) != 0;
      return 0;
    }
    epoll_event event{};
    event.data.u64 = knote.serial;
    if (knote.asked.filter == EVFILT_PROC) {
      knote.process = static_cast<int>(::syscall(SYS_pidfd_open, handle, 0U));
      if (knote.process < 0) return ESRCH;
      event.events = EPOLLIN | EPOLLET;
      ::epoll_ctl(reads_, EPOLL_CTL_ADD, knote.process, &event);
      return 0;
    }
    if (!is_open(handle)) return EBADF;
    const bool writes = knote.asked.filter == EVFILT_WRITE;
    // As FreeBSD: never true, and no error.
    if (is_pipe(handle) && !is_open_for(handle, writes ? O_WRONLY : O_RDONLY)) return 0;
    if (writes && is_pipe(handle) && evaluate_write(knote).eof) return EPIPE;
    event.events = EPOLLET | (writes ? EPOLLOUT | EPOLLRDHUP : EPOLLIN | EPOLLRDHUP);
    const int set = writes ? writes_ : reads_;
    if (::epoll_ctl(set, EPOLL_CTL_ADD, handle, &event) == 0) return 0;
    return errno == EEXIST && ::epoll_ctl(set, EPOLL_CTL_MOD, handle, &event) == 0 ? 0 : EINVAL;
  }

  void remove(Knotes::iterator at) {
    const Knote& knote = at->second;
    const int handle = knote.process >= 0 ? knote.process : static_cast<int>(knote.asked.ident);
    const int set = knote.asked.filter == EVFILT_WRITE ? writes_ : reads_;
    epoll_event nothing{};
    if (knote.asked.filter != EVFILT_USER) ::epoll_ctl(set, EPOLL_CTL_DEL, handle, &nothing);
    if (knote.process >= 0) close_only(knote.process);
    knotes_.erase(at);
  }

  void take_wakeups() {
    std::array<epoll_event, 64> woken;
    for (const int set : {reads_, writes_}) {
      int count = 0;
      do {
        count = ::epoll_wait(set, woken.data(), static_cast<int>(woken.size()), 0);
        for (int i = 0; i < count; ++i) note(woken[static_cast<std::size_t>(i)].data.u64);
      } while (count == static_cast<int>(woken.size()));
    }
  }
  void note(std::uint64_t serial) {
    for (auto& [key, knote] : knotes_) {
      if (knote.serial != serial) continue;
      knote.candidate = true;
      if (knote.process >= 0) knote.triggered = true;
    }
  }

  void set_pending(bool pending) {
    const std::uint64_t one = 1;
    std::uint64_t old = 0;
    if (pending) {
      if (::write(pending_, &one, sizeof one) < 0) std::abort();
    } else if (::read(pending_, &old, sizeof old) < 0 && errno != EAGAIN) {
      std::abort();
    }
  }

  int number_;
  int reads_ = ::epoll_create1(EPOLL_CLOEXEC);
  int writes_ = ::epoll_create1(EPOLL_CLOEXEC);
  int pending_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);  ///< a candidate may be true
  Knotes knotes_;
  Key last_{0, 0};
};

/// Never destroyed: whoever closes last may come behind every other destructor.
std::map<int, std::unique_ptr<Queue>>& queues() {
  static auto* const all = new std::map<int, std::unique_ptr<Queue>>;
  return *all;
}

/// A child inherits no kqueue.
void leave_to_parent() {
  for (const auto& [number, queue] : queues()) close_only(number);
  queues().clear();
  mutex.unlock();
}

int kevent_now(int queue, const struct kevent* changes, int change_count, struct kevent* events,
               int event_count, int& receipts) {
  const std::lock_guard lock{mutex};
  const auto found = queues().find(queue);
  if (found == queues().end()) {
    errno = EBADF;
    return -1;
  }
  for (int i = 0; i < change_count; ++i) {
    const struct kevent change = changes[i];
    const int error = found->second->apply(change);
    if ((change.flags & EV_RECEIPT) == 0 && error == 0) continue;
    events[receipts] = change;
    events[receipts].flags = EV_ERROR;
    events[receipts].data = error;
    ++receipts;
  }
  if (receipts > 0 || event_count == 0) return receipts;
  return found->second->collect(events, event_count);
}

}  // namespace

void fail_next(short filter, unsigned flags, int error) {
  planned = {filter, flags, error};
}

}  // namespace pollux::bsd

extern "C" int kqueue() {
  using namespace pollux::bsd;
  static const int forks =
      ::pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, &leave_to_parent);
  static_cast<void>(forks);
  const std::lock_guard lock{mutex};
  const int number = ::epoll_create1(0);
  if (number < 0) return -1;
  auto queue = std::make_unique<Queue>(number);
  if (!*queue) {
    close_only(number);
    errno = EMFILE;
    return -1;
  }
  queues()[number] = std::move(queue);
  return number;
}

extern "C" int close(int handle) {
  using namespace pollux::bsd;
  {
    const std::lock_guard lock{mutex};
    queues().erase(handle);
    for (const auto& [number, queue] : queues()) queue->forget(handle);
  }
  return close_only(handle);
}

extern "C" int kevent(int queue, const struct kevent* changes, int change_count,
                      struct kevent* events, int event_count, const timespec* timeout) {
  using namespace pollux::bsd;
  using Clock = std::chrono::steady_clock;
  const auto now = Clock::now();
  const auto end = timeout == nullptr ? Clock::time_point::max()
                                      : now + std::chrono::seconds{timeout->tv_sec} +
                                            std::chrono::nanoseconds{timeout->tv_nsec};
  int receipts = 0;
  while (true) {
    const int count = kevent_now(queue, changes, change_count, events, event_count, receipts);
    change_count = 0;
    const auto left = end - Clock::now();
    if (count != 0 || event_count == 0 || left <= Clock::duration::zero()) return count;
    timespec spec{};
    spec.tv_sec = static_cast<time_t>(std::min<std::int64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(left).count(), 3600));
    spec.tv_nsec = static_cast<long>((left % std::chrono::seconds{1}).count());
    pollfd sleeper{queue, POLLIN, 0};
    if (::ppoll(&sleeper, 1, &spec, nullptr) < 0) return -1;
  }
}
