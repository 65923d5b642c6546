// SPDX-License-Identifier: MIT
// libuv 1. Handles on the heap: they may be freed only by their close callback.
#include <array>
#include <memory>
#include <vector>

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

/// uv_tcp_t, with one buffer for all reads; what uv_try_write() does not take is copied and queued,
/// and nothing is read until it has gone.
class LibuvEcho {
 public:
  explicit LibuvEcho(EchoCount& count) : count_{count} { done(uv_loop_init(&loop_)); }
  LibuvEcho(const LibuvEcho&) = delete;
  LibuvEcho& operator=(const LibuvEcho&) = delete;
  ~LibuvEcho() {
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, free_connection);
        },
        nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  void serve(Handle handle) {
    auto* connection = new Connection;
    connection->tcp.data = this;
    done(uv_tcp_init(&loop_, &connection->tcp));
    done(uv_tcp_open(&connection->tcp, handle.release()));
    read(*connection);
  }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }

 private:
  struct Connection {
    uv_tcp_t tcp;  // first: a pointer to it is one to the connection
    uv_write_t write;
    std::vector<char> unsent;
  };

  static uv_stream_t* stream_of(Connection& connection) {
    return reinterpret_cast<uv_stream_t*>(&connection.tcp);
  }
  static LibuvEcho& server_of(Connection& connection) {
    return *static_cast<LibuvEcho*>(connection.tcp.data);
  }
  static void free_connection(uv_handle_t* handle) { delete reinterpret_cast<Connection*>(handle); }

  static void read(Connection& connection) {
    done(uv_read_start(
        stream_of(connection),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
          auto& bytes = static_cast<LibuvEcho*>(handle->data)->buffer_;
          *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
        },
        [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
          auto& of = *reinterpret_cast<Connection*>(stream);
          if (size < 0) {
            server_of(of).end(of);
          } else if (size > 0) {
            server_of(of).received(of, buffer->base, static_cast<std::size_t>(size));
          }
        }));
  }
  void received(Connection& connection, char* bytes, std::size_t size) {
    uv_buf_t buffer = uv_buf_init(bytes, static_cast<unsigned>(size));
    const int sent = uv_try_write(stream_of(connection), &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN) return end(connection);
    const auto taken = static_cast<std::size_t>(sent < 0 ? 0 : sent);
    if (taken < size) queue(connection, bytes + taken, bytes + size);
    if (count_.received(size)) uv_stop(&loop_);
  }
  static void queue(Connection& connection, const char* from, const char* to) {
    connection.unsent.assign(from, to);
    uv_read_stop(stream_of(connection));
    const uv_buf_t buffer =
        uv_buf_init(connection.unsent.data(), static_cast<unsigned>(connection.unsent.size()));
    done(uv_write(&connection.write, stream_of(connection), &buffer, 1,
                  [](uv_write_t* write, int status) {
                    auto& of = *reinterpret_cast<Connection*>(write->handle);
                    if (status == 0) {
                      read(of);
                    } else if (status != UV_ECANCELED) {
                      server_of(of).end(of);
                    }
                  }));
  }
  void end(Connection& connection) {
    uv_close(base_of(&connection.tcp), free_connection);
    if (count_.ended()) uv_stop(&loop_);
  }

  EchoCount& count_;
  uv_loop_t loop_{};
  std::array<char, echo_read_bytes> buffer_;
};

void gather(Suite& suite) {
  register_rows<Libuv>(suite, "libuv", [](Threads threads) { return Libuv{threads}; });
  register_echo<LibuvEcho>(suite, "libuv", [](EchoCount& count) { return LibuvEcho{count}; });
}

const Peer libuv{gather};

}  // namespace

}  // namespace pollux::bench
