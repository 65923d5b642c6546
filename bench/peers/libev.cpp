// SPDX-License-Identifier: MIT
// libev 4, with its epoll backend: watchers embedded, the clock read once a turn by the loop.
#include <memory>
#include <stdexcept>

#include <ev.h>

#include "../loops/task_queue.hpp"
#include "../rows.hpp"

namespace pollux::bench {

namespace {

class Libev {
 public:
  struct Watch {
    ev_io io;
  };
  struct Stream {
    ev_io read;
    ev_io write;
  };
  struct Timer {
    ev_timer timer;
  };

  explicit Libev(Threads)
      : loop_{ev_loop_new(unsigned{EVBACKEND_EPOLL} | unsigned{EVFLAG_NOENV}), &ev_loop_destroy} {
    if (!loop_) throw std::runtime_error{"ev_loop_new"};
    ev_async_init(&wake_, [](struct ev_loop*, ev_async* async, int) {
      static_cast<Libev*>(async->data)->tasks_.run();
    });
    wake_.data = this;
    ev_async_start(loop_.get(), &wake_);
  }
  ~Libev() { ev_async_stop(loop_.get(), &wake_); }

  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    set<EV_WRITE>(stream.write, handle, owner);
    set<EV_READ>(stream.read, handle, owner);
    ev_io_start(loop_.get(), &stream.read);
  }
  void ask_writable(Stream& stream, bool on) {
    if (on) {
      ev_io_start(loop_.get(), &stream.write);
    } else {
      ev_io_stop(loop_.get(), &stream.write);
    }
  }
  void unwatch(Stream& stream) { ev_io_stop(loop_.get(), &stream.read); }
  void unwatch_and_close(Stream& stream, Handle& handle) {
    unwatch(stream);
    close_counted(handle);
  }
  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    set<EV_READ>(watch.io, handle, owner);
    ev_io_start(loop_.get(), &watch.io);
  }
  void unwatch(Watch& watch) { ev_io_stop(loop_.get(), &watch.io); }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    ev_init(&timer.timer, [](struct ev_loop*, ev_timer* expired, int) {
      static_cast<Owner*>(expired->data)->expired();
    });
    timer.timer.data = &owner;
  }
  void arm(Timer& timer, Clock::time_point, std::chrono::nanoseconds delay) {
    ev_timer_set(&timer.timer, std::chrono::duration<double>(delay).count(), 0.);
    ev_timer_start(loop_.get(), &timer.timer);
  }
  /// As its manual has it for idle timeouts.
  void put_off(Timer& timer, Clock::time_point, std::chrono::nanoseconds delay) {
    timer.timer.repeat = std::chrono::duration<double>(delay).count();
    ev_timer_again(loop_.get(), &timer.timer);
  }
  void cancel(Timer& timer) { ev_timer_stop(loop_.get(), &timer.timer); }

  template <class Owner>
  void post(Owner& owner) {
    if (tasks_.push(owner)) ev_async_send(loop_.get(), &wake_);
  }
  void run() { ev_run(loop_.get(), 0); }
  void turn() { ev_run(loop_.get(), EVRUN_NOWAIT); }
  void stop() { ev_break(loop_.get(), EVBREAK_ALL); }

 private:
  template <int what, class Owner>
  void set(ev_io& io, int handle, Owner& owner) {
    ev_io_init(
        &io,
        [](struct ev_loop*, ev_io* ready, int bits) {
          static_cast<Owner*>(ready->data)
              ->ready({.readable = (bits & EV_READ) != 0, .writable = (bits & EV_WRITE) != 0});
        },
        handle, what);
    io.data = &owner;
  }

  std::unique_ptr<struct ev_loop, decltype(&ev_loop_destroy)> loop_;
  TaskQueue tasks_;
  ev_async wake_{};
};

void gather(Suite& suite) {
  register_rows<Libev>(suite, "libev", [](Threads threads) { return Libev{threads}; });
}

const Peer libev{gather};

}  // namespace

}  // namespace pollux::bench
