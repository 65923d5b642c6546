// SPDX-License-Identifier: MIT
// Once, again and again, and a time-out that is put off by whatever happens.
#include <chrono>
#include <cstdio>

#include <pollux/pollux.hpp>

using namespace std::chrono_literals;

int main() {
  pollux::Reactor reactor;

  // Fires only if nothing has happened for so long: each tick puts it off, which costs next to
  // nothing.
  pollux::Timer idle = reactor.after(100ms, [&] {
    std::puts("idle");
    reactor.stop();
  });
  pollux::Timer tick = reactor.every(20ms, [&] {
    std::puts("tick");
    idle.restart();  // by the delay that it has
  });
  // A timer ends with its object, so it is kept; cancel() keeps the handler as well.
  const pollux::Timer enough = reactor.after(90ms, [&] { tick.cancel(); });

  reactor.run();
}
