// SPDX-License-Identifier: MIT
#include <pollux/testing/bench.hpp>

#include "select_backend.hpp"

int main(int argc, char** argv) {
  pollux::bench::add_backend("select", make_select_backend);
  return pollux::bench::run(argc, argv);
}
