// SPDX-License-Identifier: MIT
// The tests on the backends that are compiled in.
#include <pollux/testing/conformance.hpp>

int main(int argc, char** argv) {
  return pollux::conformance::run(argc, argv);
}
