// SPDX-License-Identifier: MIT
// libuv 1. Handles on the heap: they may be freed only by their close callback.
#include <memory>

#include <uv.h>

#include "../loops/task_queue.hpp"
#include "../rows.hpp"

namespace pollux::bench {

namespace {

void done(int result) {
  if (result < 0) throw std::runtime_error{uv_strerror(result)};
}

void free_handle(uv_handle_t* handle) {
  if (handle->type == UV_POLL) {
    delete reinterpret_cast<uv_poll_t*>(handle);
  } else if (handle->type == UV_TIMER) {
    delete reinterpret_cast<uv_timer_t*>(handle);
  }
}

template <class T>
uv_handle_t* base_of(T* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

class Libuv {
 public:
  struct Watch {
    uv_poll_t* poll = nullptr;
    uv_poll_cb call = nullptr;
  };
  using Stream = Watch;
  struct Timer {
    uv_timer_t* timer = nullptr;
    uv_timer_cb call = nullptr;
  };

  explicit Libuv(Threads) {
    done(uv_loop_init(&loop_));
    done(uv_async_init(&loop_, &wake_,
                       [](uv_async_t* async) { static_cast<Libuv*>(async->data)->tasks_.run(); }));
    wake_.data = this;
  }
  Libuv(const Libuv&) = delete;
  Libuv& operator=(const Libuv&) = delete;
  ~Libuv() {
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, free_handle);
        },
        nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    watch.poll = new uv_poll_t;
    done(uv_poll_init(&loop_, watch.poll, handle));
    watch.poll->data = &owner;
    watch.call = [](uv_poll_t* poll, int, int events) {
      static_cast<Owner*>(poll->data)
          ->ready(
              {.readable = (events & UV_READABLE) != 0, .writable = (events & UV_WRITABLE) != 0});
    };
    done(uv_poll_start(watch.poll, UV_READABLE, watch.call));
  }
  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    watch(stream, handle, owner);
  }
  void ask_writable(Stream& stream, bool on) {
    done(uv_poll_start(stream.poll, on ? UV_READABLE | UV_WRITABLE : UV_READABLE, stream.call));
  }
  void unwatch(Watch& watch) { uv_close(base_of(std::exchange(watch.poll, nullptr)), free_handle); }
  void unwatch_and_close(Stream& stream, Handle& handle) {
    unwatch(stream);
    close_counted(handle);
  }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    timer.timer = new uv_timer_t;
    done(uv_timer_init(&loop_, timer.timer));
    timer.timer->data = &owner;
    timer.call = [](uv_timer_t* expired) { static_cast<Owner*>(expired->data)->expired(); };
  }
  void arm(Timer& timer, Clock::time_point, std::chrono::nanoseconds delay) {
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(delay);
    done(uv_timer_start(timer.timer, timer.call, static_cast<std::uint64_t>(time.count()), 0));
  }
  void put_off(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    arm(timer, now, delay);
  }
  void cancel(Timer& timer) { done(uv_timer_stop(timer.timer)); }

  template <class Owner>
  void post(Owner& owner) {
    if (tasks_.push(owner)) done(uv_async_send(&wake_));
  }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }
  void stop() { uv_stop(&loop_); }

 private:
  uv_loop_t loop_{};
  uv_async_t wake_{};
  TaskQueue tasks_;
};

void gather(Suite& suite) {
  register_rows<Libuv>(suite, "libuv", [](Threads threads) { return Libuv{threads}; });
}

const Peer libuv{gather};

}  // namespace

}  // namespace pollux::bench
