// SPDX-License-Identifier: MIT
// W2: libevent's classic. Many watched pairs, of which some have a byte: whoever gets one writes
// one to the next pair. An operation is one event, which is a read and a write.
#pragma once

#include <vector>

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

template <class L>
struct ChainLink {
  Meter* meter;
  L* loop;
  int own;
  int next;
  typename L::Stream stream;

  void ready(Ready) {
    expect_byte(own);
    if (meter->more()) {
      send_byte(next);
    } else {
      loop->stop();
    }
  }
};

template <class L, class Make>
void chain(Meter& meter, std::size_t count, std::size_t active, Make make) {
  std::vector<Pair> pairs(count);
  for (Pair& pair : pairs) pair = support::make_pair(PairKind::unix_stream);
  L loop = make(Threads::one);
  meter.counts(loop);
  std::vector<ChainLink<L>> links(count);
  for (std::size_t i = 0; i < count; ++i) {
    ChainLink<L>& link = links[i];
    link.meter = &meter;
    link.loop = &loop;
    link.own = pairs[i].local.get();
    link.next = pairs[(i + 1) % count].peer.get();
    loop.watch_stream(link.stream, link.own, link);
  }
  for (std::size_t i = 0; i < active; ++i) send_byte(pairs[i * (count / active)].peer.get());
  loop.run();
}

template <class L, class Make>
void register_chain(Suite& suite, const std::string& name, Make make) {
  for (const std::size_t count : {100u, 1000u, 9900u}) {
    for (const std::size_t active : {1u, 100u}) {
      std::string row = "W2.N" + std::to_string(count) + ".A" + std::to_string(active) + "/" + name;
      suite.add_if_fits(2 * count, {std::move(row), Time::cpu, [make, count, active](Meter& meter) {
                                      chain<L>(meter, count, active, make);
                                    }});
    }
  }
}

}  // namespace pollux::bench
