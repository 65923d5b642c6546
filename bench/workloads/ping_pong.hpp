// SPDX-License-Identifier: MIT
// W1: a byte bounced over one pair, both ends watched by one loop. A round trip is two events, two
// reads and two writes.
#pragma once

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

template <class L, class Make>
void ping_pong(Meter& meter, PairKind kind, Make make) {
  const Pair pair = support::make_pair(kind);
  L loop = make(Threads::one);
  meter.counts(loop);
  struct Answering {
    int handle;
    void ready(Ready) {
      expect_byte(handle);
      send_byte(handle);
    }
  } answering{pair.peer.get()};
  struct Asking {
    Meter& meter;
    L& loop;
    int handle;
    void ready(Ready) {
      expect_byte(handle);
      if (meter.more()) {
        send_byte(handle);
      } else {
        loop.stop();
      }
    }
  } asking{meter, loop, pair.local.get()};
  typename L::Stream local;
  typename L::Stream peer;
  loop.watch_stream(peer, pair.peer.get(), answering);
  loop.watch_stream(local, pair.local.get(), asking);
  send_byte(pair.local.get());
  loop.run();
}

template <class L, class Make>
void register_ping_pong(Suite& suite, const std::string& name, Make make) {
  for (const auto& [workload, kind] :
       {std::pair{"W1.unix/", PairKind::unix_stream}, std::pair{"W1.tcp/", PairKind::tcp4}}) {
    suite.add({workload + name, Time::cpu,
               [make, kind = kind](Meter& meter) { ping_pong<L>(meter, kind, make); }});
  }
}

}  // namespace pollux::bench
