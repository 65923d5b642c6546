// SPDX-License-Identifier: MIT
// An echo server in a libuv program: uv_run() runs, and pollux is a handle in it.
// Usage: libuv_echo [port]. Ends with SIGTERM or SIGINT.
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>

#include <uv.h>

#include <pollux/embed/libuv.hpp>

#include "echo.hpp"

int main(int, char** argv) try {
  uv_loop_t* loop = uv_default_loop();
  pollux::Reactor reactor;
  Echo echo{reactor, argv[1]};

  std::optional<pollux::embed::LibuvSource> source{std::in_place, reactor, loop};
  // libuv is C: what a handler throws waits for rethrow().
  source->on_exception([loop](const std::exception_ptr& exception) {
    uv_stop(loop);
    std::rethrow_exception(exception);
  });

  // The program's own life in libuv goes on beside it.
  uv_timer_t timer;
  uv_timer_init(loop, &timer);
  timer.data = &echo;
  const uv_timer_cb report = [](uv_timer_t* self) {
    std::printf("clients: %zu\n", static_cast<Echo*>(self->data)->clients());
  };
  uv_timer_start(&timer, report, 10000, 10000);
  uv_signal_t signals[2];
  const uv_signal_cb quit = [](uv_signal_t* self, int) { uv_stop(self->loop); };
  for (uv_signal_t& signal : signals) uv_signal_init(loop, &signal);
  uv_signal_start(&signals[0], quit, SIGTERM);
  uv_signal_start(&signals[1], quit, SIGINT);

  uv_run(loop, UV_RUN_DEFAULT);
  source->rethrow();
  source.reset();
  const uv_walk_cb close = [](uv_handle_t* handle, void*) {
    if (!uv_is_closing(handle)) uv_close(handle, nullptr);
  };
  uv_walk(loop, close, nullptr);
  uv_run(loop, UV_RUN_DEFAULT);  // libuv closes in its own time
  return uv_loop_close(loop);
} catch (const std::exception& error) {
  std::fprintf(stderr, "libuv_echo: %s\n", error.what());
  return 1;
}
