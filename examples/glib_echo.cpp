// SPDX-License-Identifier: MIT
// An echo server in a GLib program: GLib's loop runs, and pollux is a source in it.
// Usage: glib_echo [port]. Ends with SIGTERM or SIGINT.
#include <csignal>
#include <cstdio>
#include <exception>

#include <glib-unix.h>

#include <pollux/embed/glib.hpp>

#include "echo.hpp"

int main(int, char** argv) try {
  GMainLoop* loop = g_main_loop_new(nullptr, FALSE);
  pollux::Reactor reactor;
  Echo echo{reactor, argv[1]};

  pollux::embed::GlibSource source{reactor, g_main_loop_get_context(loop)};
  // GLib is C: what a handler throws waits for rethrow().
  source.on_exception([&](const std::exception_ptr& exception) {
    g_main_loop_quit(loop);
    std::rethrow_exception(exception);
  });

  // The program's own life in GLib goes on beside it.
  const GSourceFunc report = [](gpointer served) -> gboolean {
    std::printf("clients: %zu\n", static_cast<Echo*>(served)->clients());
    return G_SOURCE_CONTINUE;
  };
  g_timeout_add_seconds(10, report, &echo);
  const GSourceFunc quit = [](gpointer running) -> gboolean {
    g_main_loop_quit(static_cast<GMainLoop*>(running));
    return G_SOURCE_CONTINUE;
  };
  g_unix_signal_add(SIGTERM, quit, loop);
  g_unix_signal_add(SIGINT, quit, loop);

  g_main_loop_run(loop);
  g_main_loop_unref(loop);
  source.rethrow();
} catch (const std::exception& error) {
  std::fprintf(stderr, "glib_echo: %s\n", error.what());
  return 1;
}
