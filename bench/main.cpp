// SPDX-License-Identifier: MIT
// The program: pollux's backends, epoll and poll by hand, and the peers that are linked.
#include <pollux/testing/bench.hpp>

int main(int argc, char** argv) {
  return pollux::bench::run(argc, argv);
}
