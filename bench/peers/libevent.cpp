// SPDX-License-Identifier: MIT
// libevent 2, with its epoll method: `struct event` embedded, no locks where one thread runs. As
// `libevent_tuned` with what it has to be asked for: its changelist, which gathers changes until
// the wait (its header warns of it where descriptors are duplicated), and one queue for the
// timeouts that are all as long.
#include <memory>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include "../loops/task_queue.hpp"
#include "../rows.hpp"

namespace pollux::bench {

namespace {

template <class T>
T* made(T* pointer) {
  if (pointer == nullptr) throw std::runtime_error{"libevent has failed"};
  return pointer;
}

void done(int result) {
  if (result != 0) throw std::runtime_error{"libevent has failed"};
}

/// One event, which leaves the loop with the object.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    if (event_initialized(&event_)) event_del(&event_);
  }

  event* get() { return &event_; }

 private:
  event event_{};
};

using BasePointer = std::unique_ptr<event_base, decltype(&event_base_free)>;

template <bool tuned>
BasePointer make_base(Threads threads) {
  const std::unique_ptr<event_config, decltype(&event_config_free)> config{made(event_config_new()),
                                                                           &event_config_free};
  int flags = EVENT_BASE_FLAG_IGNORE_ENV;
  if (threads == Threads::one) flags |= EVENT_BASE_FLAG_NOLOCK;
  if (tuned) flags |= EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;
  event_config_set_flag(config.get(), flags);
  if (threads == Threads::many) evthread_use_pthreads();
  return {made(event_base_new_with_config(config.get())), &event_base_free};
}

template <bool tuned>
class Libevent {
 public:
  struct Stream {
    Event read;
    Event write;
  };
  using Watch = Event;
  using Timer = Event;

  explicit Libevent(Threads threads) : base_{make_base<tuned>(threads)} {
    done(event_assign(
        wake_.get(), base_.get(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Libevent*>(self)->tasks_.run(); },
        this));
  }

  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    assign<EV_WRITE>(stream.write, handle, owner);
    watch(stream.read, handle, owner);
  }
  void ask_writable(Stream& stream, bool on) {
    done(on ? event_add(stream.write.get(), nullptr) : event_del(stream.write.get()));
  }
  void unwatch(Stream& stream) { unwatch(stream.read); }
  void unwatch_and_close(Stream& stream, Handle& handle) {
    unwatch(stream);
    close_counted(handle);
  }
  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    assign<EV_READ>(watch, handle, owner);
    done(event_add(watch.get(), nullptr));
  }
  void unwatch(Watch& watch) { done(event_del(watch.get())); }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    done(evtimer_assign(
        timer.get(), base_.get(),
        [](evutil_socket_t, short, void* self) { static_cast<Owner*>(self)->expired(); }, &owner));
  }
  void arm(Timer& timer, Clock::time_point, std::chrono::nanoseconds delay) {
    const timeval time = timeval_of(delay);
    done(evtimer_add(timer.get(), &time));
  }
  void put_off(Timer& timer, Clock::time_point, std::chrono::nanoseconds delay) {
    const timeval time = timeval_of(delay);
    if (tuned && common_ == nullptr)
      common_ = made(event_base_init_common_timeout(base_.get(), &time));
    done(evtimer_add(timer.get(), tuned ? common_ : &time));
  }
  void cancel(Timer& timer) { done(evtimer_del(timer.get())); }

  template <class Owner>
  void post(Owner& owner) {
    if (tasks_.push(owner)) event_active(wake_.get(), EV_WRITE, 0);
  }
  void run() { event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY); }
  void turn() { event_base_loop(base_.get(), EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY); }
  void stop() { event_base_loopbreak(base_.get()); }

 private:
  template <short what, class Owner>
  void assign(Event& event, int handle, Owner& owner) {
    done(event_assign(
        event.get(), base_.get(), handle, what | EV_PERSIST,
        [](evutil_socket_t, short, void* self) {
          static_cast<Owner*>(self)->ready(
              {.readable = what == EV_READ, .writable = what == EV_WRITE});
        },
        &owner));
  }
  static timeval timeval_of(std::chrono::nanoseconds delay) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(delay);
    return {static_cast<time_t>(seconds.count()),
            static_cast<suseconds_t>((delay - seconds) / std::chrono::microseconds{1})};
  }

  BasePointer base_;
  TaskQueue tasks_;
  Event wake_;
  const timeval* common_ = nullptr;
};

/// bufferevent: what has come is moved, not copied, from one buffer to the other. libevent 2.1
/// takes no more than 4 KiB from the kernel at once, whatever bufferevent_set_max_single_read()
/// says.
template <bool tuned>
class LibeventEcho {
 public:
  explicit LibeventEcho(EchoCount& count) : count_{count}, base_{make_base<tuned>(Threads::one)} {}

  void serve(Handle handle) {
    Connection& connection = *connections_.emplace_back(
        made(bufferevent_socket_new(base_.get(), handle.release(), BEV_OPT_CLOSE_ON_FREE)),
        &bufferevent_free);
    bufferevent_setcb(
        &connection, [](Connection* of, void* self) { server(self).received(of); },
        [](Connection* of, void*) { bufferevent_enable(of, EV_READ); },
        [](Connection* of, short what, void* self) { server(self).end_when_sent(of, what); }, this);
    done(bufferevent_enable(&connection, EV_READ | EV_WRITE));
  }
  void run() { event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY); }

 private:
  using Connection = bufferevent;

  static LibeventEcho& server(void* self) { return *static_cast<LibeventEcho*>(self); }

  void received(Connection* connection) {
    evbuffer* const input = bufferevent_get_input(connection);
    evbuffer* const output = bufferevent_get_output(connection);
    const std::size_t size = evbuffer_get_length(input);
    done(evbuffer_add_buffer(output, input));
    // Until the write callback: the output is empty.
    if (evbuffer_get_length(output) > echo_high_water) bufferevent_disable(connection, EV_READ);
    if (count_.received(size)) event_base_loopbreak(base_.get());
  }
  void end_when_sent(Connection* connection, short what) {
    const bool failed = (what & BEV_EVENT_ERROR) != 0;
    if (failed || evbuffer_get_length(bufferevent_get_output(connection)) == 0)
      return end(connection);
    bufferevent_setcb(
        connection, nullptr, [](Connection* of, void* self) { server(self).end(of); },
        [](Connection* of, short, void* self) { server(self).end(of); }, this);
  }
  void end(Connection* connection) {
    std::erase_if(connections_, [connection](const auto& of) { return of.get() == connection; });
    // Not at once: it is the loop that closes the descriptor, after this call.
    if (count_.ended()) event_base_loopexit(base_.get(), nullptr);
  }

  EchoCount& count_;
  BasePointer base_;
  std::vector<std::unique_ptr<Connection, decltype(&bufferevent_free)>> connections_;
};

void gather(Suite& suite) {
  // libev carries an emulation of libevent, under the same names.
  const std::string_view version = event_get_version();
  if (!version.starts_with("2.")) {
    suite.leave_out("libevent", std::string{"its functions are those of "}.append(version));
    return;
  }
  register_rows<Libevent<false>>(suite, "libevent",
                                 [](Threads threads) { return Libevent<false>{threads}; });
  register_rows<Libevent<true>>(suite, "libevent_tuned",
                                [](Threads threads) { return Libevent<true>{threads}; });
  register_echo<LibeventEcho<false>>(suite, "libevent",
                                     [](EchoCount& count) { return LibeventEcho<false>{count}; });
  register_echo<LibeventEcho<true>>(suite, "libevent_tuned",
                                    [](EchoCount& count) { return LibeventEcho<true>{count}; });
}

const Peer libevent{gather};

}  // namespace

}  // namespace pollux::bench
