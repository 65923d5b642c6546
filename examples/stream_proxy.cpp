// SPDX-License-Identifier: MIT
// Passes connections on to another server. Each side gets the bytes, the end and the reset of the
// other. Usage: stream_proxy <host> <port> [<own address>]; without one the system chooses a port.
// Prints where it listens. (`pollux proxy` does more.)
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <system_error>
#include <utility>

#include <pollux/pollux.hpp>

using pollux::Stream;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: stream_proxy <host> <port> [<own address>]\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const pollux::Address address{argc > 3 ? argv[3] : "127.0.0.1:0"};

  pollux::Reactor reactor;
  pollux::SystemResolver resolver;
  const auto serve = [&](Stream client) {
    client.pause();  // what it sends, and its end, are for the relay
    auto join = [client = std::move(client)](std::error_code error, Stream target) mutable {
      if (error || !client) {  // one of them is not there: the other sees a reset
        client.abort();
        return target.abort();
      }
      pollux::relay(std::move(client), std::move(target));
    };
    pollux::Connector{reactor, resolver, argv[1], port, std::move(join)}.detach();
  };
  const pollux::Listener listener{reactor, address, serve};
  std::cout << "listening on " << listener.address().to_string() << std::endl;
  reactor.run();
}
