// SPDX-License-Identifier: MIT
// The program of the README: follows its input, a pipe or a terminal, to its end.
#include <unistd.h>
#include <cstdio>
#include <pollux/pollux.hpp>

int main() {
  pollux::Reactor reactor;
  const pollux::StreamWatch input = reactor.watch_stream(
      STDIN_FILENO, pollux::Interest::readable, [&](const pollux::StreamEvent& event) {
        char bytes[4096];
        if (event.readable()) std::printf("%zd bytes\n", ::read(STDIN_FILENO, bytes, sizeof bytes));
        if (event.end_of_stream()) std::puts("the end, and every byte before it was read");
        if (event.end_of_stream() || event.error()) reactor.stop();
      });
  reactor.run();
}
