// SPDX-License-Identifier: MIT
// An echo server: it answers everything that it was sent, also what came right before the peer's
// end, and reads no faster than the peer takes the answers. Out of descriptors, it lets clients
// wait. Usage: stream_echo [address], for instance *:7000 or unix:/run/echo; without one the
// system chooses a port. Prints where it listens.
#include <iostream>

#include <pollux/pollux.hpp>

int main(int argc, char** argv) {
  pollux::Reactor reactor;
  const auto serve = [](pollux::Stream client) {
    client.on_data([](pollux::Stream& self, pollux::Bytes bytes) {
      if (!self.write(bytes)) self.pause();  // too much waits: on_drained() says when to go on
    });
    client.on_drained([](pollux::Stream& self) { self.resume(); });
    client.on_event([](pollux::Stream& self, const pollux::StreamEvent& event) {
      if (event.end_of_stream()) self.shutdown_write();  // when all answers have been sent
    });
    client.detach();  // it lives until both sides have ended
  };
  pollux::Listener listener{reactor, pollux::Address{argc > 1 ? argv[1] : "127.0.0.1:0"}, serve};
  std::cout << "listening on " << listener.address().to_string() << std::endl;
  reactor.run();
}
