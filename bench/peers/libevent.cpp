// SPDX-License-Identifier: MIT
// libevent 2, with its epoll method: `struct event` embedded, no locks where one thread runs. As
// `libevent_tuned` with what it has to be asked for: its changelist, which gathers changes until
// the wait (its header warns of it where descriptors are duplicated), and one queue for the
// timeouts that are all as long.
#include <memory>
#include <stdexcept>
#include <string_view>

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

template <bool tuned>
class Libevent {
 public:
  struct Stream {
    Event read;
    Event write;
  };
  using Watch = Event;
  using Timer = Event;

  explicit Libevent(Threads threads) {
    const std::unique_ptr<event_config, decltype(&event_config_free)> config{
        made(event_config_new()), &event_config_free};
    int flags = EVENT_BASE_FLAG_IGNORE_ENV;
    if (threads == Threads::one) flags |= EVENT_BASE_FLAG_NOLOCK;
    if (tuned) flags |= EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;
    event_config_set_flag(config.get(), flags);
    if (threads == Threads::many) evthread_use_pthreads();
    base_.reset(made(event_base_new_with_config(config.get())));
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

  std::unique_ptr<event_base, decltype(&event_base_free)> base_{nullptr, &event_base_free};
  TaskQueue tasks_;
  Event wake_;
  const timeval* common_ = nullptr;
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
}

const Peer libevent{gather};

}  // namespace

}  // namespace pollux::bench
