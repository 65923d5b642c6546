// SPDX-License-Identifier: MIT
// A reactor inside libuv: a poll handle, a timer, and a prepare handle.
#pragma once

#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <uv.h>

#include <pollux/embed/embedded_reactor.hpp>

namespace pollux::embed {

/// As long as it lives, uv_run() runs the handlers of a reactor. Its thread is the loop thread, of
/// this class as well. The reactor outlives it; a handler may destroy it. libuv lets go of the
/// handles in the next turn of its loop: uv_run() once more before uv_loop_close().
///
/// As long as it lives uv_run() has something to wait for. Deadlines are rounded up to
/// milliseconds, as libuv's are. Reactor::stop() ends a turn, not uv_run().
class LibuvSource {
 public:
  /// std::system_error: `operation_not_supported` on a backend without native handle (see
  /// docs/embedding.md for what to do), or what the system says when it is out of descriptors.
  LibuvSource(Reactor& reactor, uv_loop_t* loop) {
    auto state = std::make_unique<State>(reactor);
    state->start(loop);
    state_ = state.release();
  }
  LibuvSource(const LibuvSource&) = delete;
  LibuvSource& operator=(const LibuvSource&) = delete;
  ~LibuvSource() { state_->leave(); }

  /// What a handler throws cannot pass through libuv, which is C. `handler` is called with it, from
  /// inside the loop (where uv_stop() may be the answer); without one, or if it throws in turn, the
  /// first exception is kept for rethrow(). Errors of the reactor itself come the same way, as
  /// std::system_error.
  void on_exception(Handler<std::exception_ptr> handler) {
    state_->exceptions.on_exception(std::move(handler));
  }
  /// Throws what was kept, once; for after uv_run().
  void rethrow() { state_->exceptions.rethrow(); }

 private:
  /// Owns itself from leave() on, until libuv has closed the last of its handles.
  struct State {
    explicit State(Reactor& reactor) : embedded{reactor} {}

    void start(uv_loop_t* loop) {
      poll = start_poll(loop);
      uv_timer_init(loop, &timer);
      uv_prepare_init(loop, &prepare);
      timer.data = prepare.data = this;
      uv_unref(handle(&timer));  // the poll handle keeps the loop alive
      uv_unref(handle(&prepare));
      uv_prepare_start(&prepare, [](uv_prepare_t* self) { of(self).arm(); });
      // From a prepare handle that runs after this one, perhaps.
      embedded.on_reschedule([this] { set_timer(Timeout::zero()); });
    }

    void leave() {
      close(poll);
      embedded.leave();
      uv_close(handle(&timer), &closed);
      uv_close(handle(&prepare), &closed);
    }

    void arm() {
      exceptions.guard([this] {
        set_timer(embedded.prepare());
        if (!embedded.is_outdated()) return;
        const detail::OwnedHandle old = embedded.renew();
        close(std::exchange(poll, start_poll(poll->loop)));
      });
    }

    void turn() {
      exceptions.guard([this] { embedded.turn(); });
    }

    void set_timer(Timeout timeout) {
      if (!host_timer.is_to_be_set(timeout)) return;
      const auto expired = [](uv_timer_t* self) {
        of(self).host_timer.has_expired();
        of(self).turn();
      };
      uv_timer_start(&timer, expired, static_cast<std::uint64_t>(timeout.poll_ms()), 0);
    }

    uv_poll_t* start_poll(uv_loop_t* loop) {
      auto made = std::make_unique<uv_poll_t>();
      if (const int error = uv_poll_init(loop, made.get(), embedded.handle()); error != 0)
        throw std::system_error{-error, std::system_category(), "pollux::embed::LibuvSource"};
      made->data = this;
      // An error there is the reactor's to find.
      uv_poll_start(made.get(), UV_READABLE, [](uv_poll_t* self, int, int) { of(self).turn(); });
      return made.release();
    }

    static void close(uv_poll_t* poll) {
      uv_close(handle(poll),
               [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
    }

    static void closed(uv_handle_t* handle) {
      State& state = of(handle);
      if (--state.open == 0) delete &state;
    }

    template <class Handle>
    static uv_handle_t* handle(Handle* handle) {
      return reinterpret_cast<uv_handle_t*>(handle);
    }
    template <class Handle>
    static State& of(Handle* handle) {
      return *static_cast<State*>(handle->data);
    }

    detail::EmbeddedReactor embedded;
    detail::HostTimer host_timer;
    detail::Exceptions exceptions;
    uv_poll_t* poll = nullptr;  ///< of its own memory: it goes with the native handle
    uv_timer_t timer;
    uv_prepare_t prepare;
    int open = 2;
  };

  State* state_ = nullptr;
};

}  // namespace pollux::embed
