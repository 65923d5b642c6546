// SPDX-License-Identifier: MIT
// A byte bounced over one pair, both ends watched by one loop: the time of a round trip, which is
// two events, two reads and two writes.
#include <stdexcept>

#include <sys/socket.h>

#include "bench_support.hpp"

namespace pollux::bench {

namespace {

void receive_byte(const support::Handle& handle) {
  char byte = 0;
  if (checked(::recv(handle.get(), &byte, 1, 0), "recv") != 1)
    throw std::runtime_error{"readable was reported, and nothing was there"};
}

void send_byte(const support::Handle& handle) {
  checked(::send(handle.get(), "x", 1, MSG_NOSIGNAL), "send");
}

template <class MakeLoop>
void ping_pong(benchmark::State& state, support::PairKind kind, MakeLoop make_loop) {
  const support::Pair pair = support::make_pair(kind);
  auto loop = make_loop();
  auto answer = [&] {
    receive_byte(pair.peer);
    send_byte(pair.peer);
  };
  auto ask_again = [&] {
    receive_byte(pair.local);
    // The first call, after one round trip to warm up, starts the clock, and the last one stops it.
    if (state.KeepRunning()) {
      send_byte(pair.local);
    } else {
      loop.stop();
    }
  };
  loop.watch(pair.peer.get(), answer);
  loop.watch(pair.local.get(), ask_again);
  send_byte(pair.local);
  loop.run();
}

}  // namespace

void register_ping_pong() {
  for (const auto kind : {support::PairKind::unix_stream, support::PairKind::tcp4}) {
    const std::string topic = "PingPong/" + std::string{to_string(kind)};
    const auto workload = [kind](benchmark::State& state, auto make_loop) {
      ping_pong(state, kind, make_loop);
    };
    register_backends<StreamLoop>(topic, workload);
    register_backends<ReadinessLoop>(topic, workload, "/readiness");
    register_raw(topic, workload);
  }
}

}  // namespace pollux::bench
