// SPDX-License-Identifier: MIT
// An echo server in an Asio program: the program runs its io_context, and pollux is one of those
// who wait there. Usage: asio_echo [port]. Ends with SIGTERM or SIGINT.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <system_error>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <pollux/embed/asio.hpp>

#include "echo.hpp"

int main(int, char** argv) try {
  asio::io_context context;
  pollux::Reactor reactor;
  Echo echo{reactor, argv[1]};

  const pollux::embed::AsioSource source{reactor, context};

  // The program's own life in Asio goes on beside it.
  asio::steady_timer timer{context};
  const std::function<void()> report = [&] {
    timer.expires_after(std::chrono::seconds{10});
    timer.async_wait([&](const std::error_code& error) {
      if (error) return;
      std::printf("clients: %zu\n", echo.clients());
      report();
    });
  };
  report();
  asio::signal_set signals{context, SIGTERM, SIGINT};
  signals.async_wait([&](const std::error_code&, int) { context.stop(); });

  context.run();  // what a handler of pollux's throws leaves it, as with Asio's own
} catch (const std::exception& error) {
  std::fprintf(stderr, "asio_echo: %s\n", error.what());
  return 1;
}
