// SPDX-License-Identifier: MIT
// W4: many connections end at once. An operation is one connection, from when its end has arrived
// until the loop is rid of it; connecting and sending are not timed.
#pragma once

#include <vector>

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

/// The end alone: the watch is removed. A last byte before it: the connection is closed as well.
enum class Ending { end, byte_end_close };

template <class L, Ending ending>
struct Connection {
  Meter* meter = nullptr;
  L* loop = nullptr;
  std::size_t* open = nullptr;
  Handle handle;
  typename L::Stream stream;

  void ready(Ready ready) {
    // Who has been told of the end need not read it.
    if (!ready.ended && receive_byte(handle.get())) return;
    if constexpr (ending == Ending::end) {
      loop->unwatch(stream);
    } else {
      loop->unwatch_and_close(stream, handle);
    }
    if (--*open != 0) return;
    meter->pause();  // stopping is not part of it
    loop->stop();
  }
};

template <class L, Ending ending, class Make>
void ends(Meter& meter, Make make) {
  constexpr std::size_t count = 1000;
  std::vector<Handle> peers(count);
  L loop = make(Threads::one);
  meter.counts(loop);
  std::size_t open = 0;
  std::vector<Connection<L, ending>> connections(count);
  while (meter.more(count)) {
    meter.pause();
    for (std::size_t i = 0; i < count; ++i) {
      Connection<L, ending>& connection = connections[i];
      // With a reset, so that no port is left in TIME_WAIT.
      if (connection.handle) support::reset_connection(connection.handle);
      if (peers[i]) support::reset_connection(peers[i]);
      Pair pair = support::make_pair(PairKind::tcp4);
      connection.meter = &meter;
      connection.loop = &loop;
      connection.open = &open;
      connection.handle = std::move(pair.local);
      peers[i] = std::move(pair.peer);
      loop.watch_stream(connection.stream, connection.handle.get(), connection);
    }
    loop.turn();
    for (const Handle& peer : peers) {
      if constexpr (ending == Ending::byte_end_close) send_byte(peer.get());
      support::shutdown_write(peer);
    }
    open = count;
    meter.resume();
    loop.run();
    meter.resume();
  }
  for (Handle& peer : peers) {
    if (peer) support::reset_connection(peer);
  }
}

template <class L, class Make>
void register_ends(Suite& suite, const std::string& name, Make make) {
  suite.add_if_fits(2000, {"W4.eof/" + name, Time::cpu,
                           [make](Meter& meter) { ends<L, Ending::end>(meter, make); }});
  suite.add_if_fits(2000, {"W4.data-eof-close/" + name, Time::cpu,
                           [make](Meter& meter) { ends<L, Ending::byte_end_close>(meter, make); }});
}

}  // namespace pollux::bench
