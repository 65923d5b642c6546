// SPDX-License-Identifier: MIT
// Sends a text to a server, ends its own side, and prints the answer to its end. The name is
// resolved, and each of its addresses tried; after ten seconds it gives up. Usage:
// stream_client <host> <port> <text>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <pollux/pollux.hpp>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: stream_client <host> <port> <text>\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  std::error_code failed;
  const auto talk = [&](std::error_code error, pollux::Stream server) {
    failed = error;
    if (error) return;
    server.on_data([](pollux::Bytes bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); });
    server.on_event([&](const pollux::StreamEvent& event) {
      if (event.error()) failed = event.error();
    });
    server.write(argv[3]);
    server.shutdown_write();  // that was all; the answer is still to come
    server.detach();
  };

  pollux::Reactor reactor;
  pollux::SystemResolver resolver;
  const pollux::Connector connector{reactor, resolver, argv[1], port, talk, {.timeout = 10s}};
  reactor.run();  // until nothing is left: the server has ended its side as well
  if (failed) std::fprintf(stderr, "%s: %s\n", argv[1], failed.message().c_str());
  return failed ? 1 : 0;
}
