// SPDX-License-Identifier: MIT
// Standalone Asio as a reactor: async_wait, re-armed after each event. And as it is meant,
// `asio_async`, where bytes are read and written. With its concrete executor, and without locks
// where one thread runs.
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include <asio/basic_stream_socket.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include "../rows.hpp"

namespace pollux::bench {

namespace {

class AsioWait {
  using Executor = asio::io_context::executor_type;
  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

 public:
  struct Watch {
    std::optional<Descriptor> descriptor;
  };
  struct Stream : Watch {
    void (*wait_writable)(Stream& stream) = nullptr;
    void* owner = nullptr;
    bool asks_writable = false;
    bool write_waits = false;
  };
  struct Timer {
    std::optional<asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>> timer;
    void (*wait)(Timer& timer) = nullptr;
    void* owner = nullptr;
  };

  explicit AsioWait(Threads threads)
      : context_{threads == Threads::one ? ASIO_CONCURRENCY_HINT_UNSAFE : 1},
        stays_{context_.get_executor()} {}

  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    stream.owner = &owner;
    stream.wait_writable = &AsioWait::wait_writable<Owner>;
    watch(stream, handle, owner);
  }
  /// A wait that is under way is left to complete, as nothing is called by it then: to cancel it
  /// would cancel the one for reading too.
  void ask_writable(Stream& stream, bool on) {
    stream.asks_writable = on;
    if (on && !stream.write_waits) stream.wait_writable(stream);
  }
  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    watch.descriptor.emplace(context_, handle);
    wait_readable(watch, owner);
  }
  void unwatch(Watch& watch) {
    watch.descriptor->release();
    watch.descriptor.reset();
  }
  /// It owns what it watches, and closing its descriptor takes one call.
  void unwatch_and_close(Stream& stream, Handle& handle) {
    stream.descriptor->close();
    stream.descriptor.reset();
    handle.release();
  }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    timer.timer.emplace(context_);
    timer.owner = &owner;
    timer.wait = [](Timer& armed) {
      armed.timer->async_wait([own = armed.owner](const std::error_code& error) {
        if (!error) static_cast<Owner*>(own)->expired();
      });
    };
  }
  void arm(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    timer.timer->expires_at(now + delay);
    timer.wait(timer);
  }
  void put_off(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    arm(timer, now, delay);
  }
  void cancel(Timer& timer) { timer.timer->cancel(); }

  template <class Owner>
  void post(Owner& owner) {
    asio::post(context_, [&owner] { owner.posted(); });
  }
  void run() {
    context_.restart();
    context_.run();
  }
  void turn() {
    context_.restart();
    context_.poll();
  }
  void stop() { context_.stop(); }

 private:
  template <class Owner>
  static void wait_readable(Watch& watch, Owner& owner) {
    watch.descriptor->async_wait(Descriptor::wait_read, [&](const std::error_code& error) {
      if (error) return;  // cancelled: the watch may be gone
      owner.ready({.readable = true});
      if (watch.descriptor) wait_readable(watch, owner);
    });
  }
  template <class Owner>
  static void wait_writable(Stream& stream) {
    stream.write_waits = true;
    stream.descriptor->async_wait(Descriptor::wait_write, [&stream](const std::error_code& error) {
      if (error) return;
      stream.write_waits = false;
      if (!stream.asks_writable) return;
      static_cast<Owner*>(stream.owner)->ready({.writable = true});
      if (stream.descriptor && stream.asks_writable && !stream.write_waits)
        wait_writable<Owner>(stream);
    });
  }

  asio::io_context context_;
  asio::executor_work_guard<Executor> stays_;
};

/// async_read_some() and async_write(), in turn, into a buffer of each connection's own: one that
/// is shared cannot be given to a read that completes at any time.
class AsioEcho {
  using Executor = asio::io_context::executor_type;

 public:
  explicit AsioEcho(EchoCount& count) : count_{count}, context_{ASIO_CONCURRENCY_HINT_UNSAFE} {}

  void serve(Handle handle) {
    Connection& connection =
        *connections_.emplace_back(std::make_unique<Connection>(*this, handle.release()));
    connection.read();
  }
  void run() {
    context_.restart();
    context_.run();
  }

 private:
  struct Connection {
    Connection(AsioEcho& its_server, int handle)
        : server{its_server}, socket{its_server.context_, asio::ip::tcp::v4(), handle} {}

    void read() {
      socket.async_read_some(asio::buffer(bytes), [this](std::error_code error, std::size_t size) {
        if (error) return end(error);
        write(size);
      });
    }
    void write(std::size_t size) {
      asio::async_write(socket, asio::buffer(bytes.data(), size),
                        [this](std::error_code error, std::size_t) {
                          if (error) return end(error);
                          read();
                        });
      if (server.count_.received(size)) server.context_.stop();
    }
    void end(std::error_code error) {
      if (error == asio::error::operation_aborted) return;
      socket.close();
      if (server.count_.ended()) server.context_.stop();
    }

    AsioEcho& server;
    asio::basic_stream_socket<asio::ip::tcp, Executor> socket;
    std::array<char, 16'384> bytes;
  };

  EchoCount& count_;
  asio::io_context context_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

void gather(Suite& suite) {
  register_rows<AsioWait>(suite, "asio_wait", [](Threads threads) { return AsioWait{threads}; });
  register_echo<AsioEcho>(suite, "asio_async", [](EchoCount& count) { return AsioEcho{count}; });
}

const Peer asio_wait{gather};

}  // namespace

}  // namespace pollux::bench
