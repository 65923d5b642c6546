// SPDX-License-Identifier: MIT
// A reactor inside a loop that somebody has written by hand around poll(): a turn in three parts,
// and the wait is the host's. (Asio, GLib, libuv and Qt have adapters: asio_echo.cpp and its kin.)
#include <chrono>
#include <cstdio>
#include <system_error>

#include <poll.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

using namespace std::chrono_literals;

int main() {
  int ends[2] = {};  // what the host itself waits for
  if (::pipe(ends) != 0) {
    std::perror("inside_poll");
    return 1;
  }

  pollux::Reactor reactor;
  std::error_code error;
  static_cast<void>(reactor.native_handle(error));
  if (error) {  // poll and asio have none: docs/embedding.md has what to do
    std::puts("this backend cannot be waited for");
    return 0;
  }
  const pollux::Timer timer = reactor.after(50ms, [&] {
    std::puts("from the reactor");
    if (::write(ends[1], "x", 1) != 1) std::perror("write");
  });

  for (bool running = true; running;) {
    const auto timeout =
        reactor.prepare();  // tells the kernel what has changed; how long may I wait?
    const int ms = timeout ? pollux::Timeout{*timeout}.poll_ms() : -1;
    pollfd waited[2] = {{reactor.native_handle(), POLLIN, 0}, {ends[0], POLLIN, 0}};
    ::poll(waited, 2, ms);
    if (reactor.check()) reactor.dispatch();  // fetches without waiting; calls handlers
    if ((waited[1].revents & POLLIN) != 0) {
      std::puts("from the host");
      running = false;
    }
  }
}
