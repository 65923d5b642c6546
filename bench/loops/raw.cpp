// SPDX-License-Identifier: MIT
// epoll and poll by hand, level-triggered, as a careful server writes them: changes go to the
// kernel at once, timers are in a 4-ary heap, other threads post through a queue and an eventfd.
#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>

#include "../rows.hpp"
#include "loops.hpp"
#include "task_queue.hpp"
#include "timer_heap.hpp"

namespace pollux::bench {

namespace {

/// A watched descriptor, and what is called when it is ready: a function and its data, as
/// hand-written C has it.
struct RawWatch {
  void (*call)(void* self, Ready ready) = nullptr;
  void* self = nullptr;
  int handle = -1;  // none: not watched
  std::uint32_t place = 0;

  template <class Owner>
  void call_owner(Owner& owner) {
    call = [](void* own, Ready ready) { static_cast<Owner*>(own)->ready(ready); };
    self = &owner;
  }
};

/// What both have besides their wait.
template <class Derived>
class RawLoop {
 public:
  using Stream = RawWatch;
  using Watch = RawWatch;
  using Timer = TimerHeap::Timer;

  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    stream.handle = handle;
    stream.call_owner(owner);
    derived().add(stream);
  }
  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    watch_stream(watch, handle, owner);
  }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    timer.call = [](void* self) { static_cast<Owner*>(self)->expired(); };
    timer.self = &owner;
  }
  void arm(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    timers_.arm(timer, now + delay);
  }
  void put_off(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    timers_.arm(timer, now + delay);
  }
  void cancel(Timer& timer) { timers_.cancel(timer); }

  template <class Owner>
  void post(Owner& owner) {
    if (!tasks_.push(owner)) return;
    const std::uint64_t one = 1;
    checked(::write(wake_.get(), &one, sizeof one), "write");
  }

  void run() {
    stopped_ = false;
    while (!stopped_) whole_turn(timeout_ms());
  }
  void turn() { whole_turn(0); }
  void stop() { stopped_ = true; }

  /// The wake descriptor's owner.
  void ready(Ready) {
    std::uint64_t count = 0;
    checked(::read(wake_.get(), &count, sizeof count), "read");
    tasks_.run();
  }

 protected:
  RawLoop() { wake_watch_.call_owner(*this); }
  void watch_wake_handle() {
    wake_watch_.handle = wake_.get();
    derived().add(wake_watch_);
  }

 private:
  Derived& derived() { return static_cast<Derived&>(*this); }

  int timeout_ms() const {
    if (timers_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.next() - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
  }

  void whole_turn(int timeout) {
    derived().wait_and_call(timeout);
    if (!timers_.empty()) timers_.fire(Clock::now());
  }

  Handle wake_ = make_eventfd();
  RawWatch wake_watch_;
  TimerHeap timers_;
  TaskQueue tasks_;
  bool stopped_ = false;
};

class RawEpoll : public RawLoop<RawEpoll> {
 public:
  explicit RawEpoll(Threads) { watch_wake_handle(); }

  void add(RawWatch& watch) { control(EPOLL_CTL_ADD, watch, EPOLLIN); }
  void ask_writable(Stream& stream, bool on) {
    control(EPOLL_CTL_MOD, stream, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
  void unwatch(Stream& stream) {
    control(EPOLL_CTL_DEL, stream, 0);
    stream.handle = -1;
  }
  /// Closing takes it out of the kernel's set as well.
  void unwatch_and_close(Stream& stream, Handle& handle) {
    stream.handle = -1;
    close_counted(handle);
  }

  void wait_and_call(int timeout) {
    const int count =
        ::epoll_wait(set_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
    if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      const auto* watch = static_cast<RawWatch*>(event.data.ptr);
      if (watch->handle < 0) continue;  // ended by a handler of this turn
      const std::uint32_t bits = event.events;
      watch->call(watch->self, {.readable = (bits & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                                .writable = (bits & EPOLLOUT) != 0});
    }
  }

 private:
  void control(int operation, RawWatch& watch, std::uint32_t bits) {
    epoll_event event{};
    event.events = bits;
    event.data.ptr = &watch;
    checked(::epoll_ctl(set_.get(), operation, watch.handle, &event), "epoll_ctl");
  }

  Handle set_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::array<epoll_event, 512> events_;
};

/// On an array without holes.
class RawPoll : public RawLoop<RawPoll> {
 public:
  explicit RawPoll(Threads) { watch_wake_handle(); }

  void add(RawWatch& watch) {
    watch.place = static_cast<std::uint32_t>(polled_.size());
    polled_.push_back({watch.handle, POLLIN, 0});
    watches_.push_back(&watch);
  }
  void ask_writable(Stream& stream, bool on) {
    polled_[stream.place].events = on ? POLLIN | POLLOUT : POLLIN;
  }
  void unwatch(Stream& stream) {
    polled_[stream.place] = polled_.back();
    watches_[stream.place] = watches_.back();
    watches_[stream.place]->place = stream.place;
    polled_.pop_back();
    watches_.pop_back();
    stream.handle = -1;
  }
  void unwatch_and_close(Stream& stream, Handle& handle) {
    unwatch(stream);
    close_counted(handle);
  }

  void wait_and_call(int timeout) {
    int left = ::poll(polled_.data(), polled_.size(), timeout);
    if (left < 0 && errno != EINTR) checked(left, "poll");
    // From the end: what a removal moves to its place has been looked at already.
    for (std::size_t i = polled_.size(); left > 0 && i-- > 0;) {
      if (i >= polled_.size() || polled_[i].revents == 0) continue;
      --left;
      const short bits = std::exchange(polled_[i].revents, short{0});
      const RawWatch* watch = watches_[i];
      watch->call(watch->self, {.readable = (bits & (POLLIN | POLLHUP | POLLERR)) != 0,
                                .writable = (bits & POLLOUT) != 0});
    }
  }

 private:
  std::vector<pollfd> polled_;
  std::vector<RawWatch*> watches_;  // beside it
};

/// One buffer to read into, and one a connection for what could not be sent; while something waits
/// there, nothing is read.
class RawEcho {
 public:
  explicit RawEcho(EchoCount& count) : count_{count} {}

  void serve(Handle handle) {
    auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
    connection.handle = std::move(handle);
    control(EPOLL_CTL_ADD, connection, EPOLLIN);
  }
  void run() {
    for (stopped_ = false; !stopped_;) {
      const int count =
          ::epoll_wait(set_.get(), events_.data(), static_cast<int>(events_.size()), -1);
      if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events_[static_cast<std::size_t>(i)].data.ptr);
        const bool alive = connection.unsent.empty() ? receive(connection) : go_on(connection);
        if (!alive) end(connection);
      }
    }
  }

 private:
  struct Connection {
    Handle handle;
    std::vector<char> unsent;
  };

  bool receive(Connection& connection) {
    const ssize_t size = ::recv(connection.handle.get(), buffer_.data(), buffer_.size(), 0);
    if (size <= 0) return size < 0 && errno == EAGAIN;
    const auto bytes = static_cast<std::size_t>(size);
    const ssize_t sent = send(connection, buffer_.data(), bytes);
    if (sent < 0) return false;
    if (sent < size) {
      connection.unsent.assign(buffer_.data() + sent, buffer_.data() + size);
      control(EPOLL_CTL_MOD, connection, EPOLLOUT);
    }
    if (count_.received(bytes)) stopped_ = true;
    return true;
  }
  bool go_on(Connection& connection) {
    const ssize_t sent = send(connection, connection.unsent.data(), connection.unsent.size());
    if (sent < 0) return false;
    connection.unsent.erase(connection.unsent.begin(), connection.unsent.begin() + sent);
    if (connection.unsent.empty()) control(EPOLL_CTL_MOD, connection, EPOLLIN);
    return true;
  }
  void end(Connection& connection) {
    connection.handle.close();
    if (count_.ended()) stopped_ = true;
  }

  /// Less than 0 if it has failed.
  static ssize_t send(Connection& connection, const char* bytes, std::size_t size) {
    const ssize_t sent = ::send(connection.handle.get(), bytes, size, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
  }
  void control(int operation, Connection& connection, std::uint32_t bits) {
    epoll_event event{};
    event.events = bits;
    event.data.ptr = &connection;
    checked(::epoll_ctl(set_.get(), operation, connection.handle.get(), &event), "epoll_ctl");
  }

  EchoCount& count_;
  bool stopped_ = false;
  Handle set_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::vector<std::unique_ptr<Connection>> connections_;  // stay where they are
  std::array<epoll_event, 512> events_;
  std::array<char, echo_read_bytes> buffer_;
};

}  // namespace

void gather_raw(Suite& suite) {
  register_rows<RawEpoll>(suite, "raw_epoll", [](Threads threads) { return RawEpoll{threads}; });
  register_rows<RawPoll>(suite, "raw_poll", [](Threads threads) { return RawPoll{threads}; });
  register_echo<RawEcho>(suite, "raw_epoll", [](EchoCount& count) { return RawEcho{count}; });
}

}  // namespace pollux::bench
