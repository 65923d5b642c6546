// SPDX-License-Identifier: MIT
// W3: changes. A descriptor that comes and goes; and a server that answers requests, asking for
// writability first or not.
#pragma once

#include "../loop.hpp"
#include "../suite.hpp"

namespace pollux::bench {

/// For what must stay idle.
struct Never {
  void ready(Ready) { throw std::runtime_error{"an idle descriptor was reported"}; }
};

/// An operation is one addition and one removal; the loop turns after `batch` of them, or, if that
/// is none, after each addition and each removal.
template <class L, class Make>
void churn(Meter& meter, std::uint64_t batch, Make make) {
  const Pair pair = support::make_pair(PairKind::unix_stream);
  L loop = make(Threads::one);
  meter.counts(loop);
  typename L::Watch watch;
  Never never;
  loop.turn();
  while (meter.more(batch == 0 ? 1 : batch)) {
    for (std::uint64_t i = 0; i < batch; ++i) {
      loop.watch(watch, pair.local.get(), never);
      loop.unwatch(watch);
    }
    if (batch == 0) {
      loop.watch(watch, pair.local.get(), never);
      loop.turn();
      loop.unwatch(watch);
    }
    loop.turn();
  }
}

enum class Toggling { across, within, none };

/// The client is not watched: its read and its write are done for it, in the server's handler.
template <class L, Toggling toggling>
struct Server {
  Meter& meter;
  L& loop;
  int handle;
  int client;
  typename L::Stream stream;

  void ready(Ready ready) {
    if (ready.readable) {
      expect_byte(handle);
      if constexpr (toggling != Toggling::none) loop.ask_writable(stream, true);
      if constexpr (toggling != Toggling::across) answer();
    } else if (ready.writable) {
      answer();
    }
  }

  void answer() {
    send_byte(handle);
    if constexpr (toggling != Toggling::none) loop.ask_writable(stream, false);
    expect_byte(client);
    if (meter.more()) {
      send_byte(client);
    } else {
      loop.stop();
    }
  }
};

template <class L, Toggling toggling, class Make>
void serve(Meter& meter, Make make) {
  const Pair pair = support::make_pair(PairKind::unix_stream);
  L loop = make(Threads::one);
  meter.counts(loop);
  Server<L, toggling> server{meter, loop, pair.local.get(), pair.peer.get(), {}};
  loop.watch_stream(server.stream, server.handle, server);
  send_byte(server.client);
  loop.run();
}

template <class L, class Make>
void register_churn(Suite& suite, const std::string& name, Make make) {
  suite.add(
      {"W3.churn-tick/" + name, Time::cpu, [make](Meter& meter) { churn<L>(meter, 100, make); }});
  suite.add(
      {"W3.churn-turn/" + name, Time::cpu, [make](Meter& meter) { churn<L>(meter, 0, make); }});
}

template <class L, class Make>
void register_toggles(Suite& suite, const std::string& name, Make make) {
  suite.add({"W3.toggle-across/" + name, Time::cpu,
             [make](Meter& meter) { serve<L, Toggling::across>(meter, make); }});
  suite.add({"W3.toggle-within/" + name, Time::cpu,
             [make](Meter& meter) { serve<L, Toggling::within>(meter, make); }});
  suite.add({"W3.no-toggle/" + name, Time::cpu,
             [make](Meter& meter) { serve<L, Toggling::none>(meter, make); }});
}

}  // namespace pollux::bench
