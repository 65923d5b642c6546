// SPDX-License-Identifier: MIT
// The contract on the kqueue backend, and the rest of what a BSD gets, over the kqueue of
// tests/support/bsd.
#include <pollux/testing/conformance.hpp>

#include "kqueue/kqueue_backend.hpp"

int main(int argc, char** argv) {
  pollux::conformance::add_backend(
      "kqueue", [](std::error_code& error) { return pollux::make_kqueue_backend(error); });
  return pollux::conformance::run(argc, argv);
}
