// SPDX-License-Identifier: MIT
// A daemon's signals, handled in the loop's thread: SIGHUP reloads, SIGTERM and SIGINT end.
// Whatever was started before ends in good order.
#include <csignal>
#include <cstdio>

#include <pollux/pollux.hpp>

int main() {
  pollux::Reactor reactor;

  // Everything may be done here that a signal handler must not do: take memory, print, lock.
  const auto end = [&](int signo) {
    std::printf("ending, because of signal %d\n", signo);
    reactor.stop();
  };
  const pollux::SignalWatch terminate = reactor.on_signal(SIGTERM, end);
  const pollux::SignalWatch interrupt = reactor.on_signal(SIGINT, end);
  const pollux::SignalWatch hangup = reactor.on_signal(SIGHUP, [](int) {
    std::puts("reloading");
    std::fflush(stdout);
  });

  std::puts("ready");
  std::fflush(stdout);
  reactor.run();
}
