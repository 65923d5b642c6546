// SPDX-License-Identifier: MIT
// The tests on the backends that are compiled in.
#include <pollux/testing/conformance.hpp>

#ifdef __SANITIZE_THREAD__
/// A resolver has a thread in the child of a fork as well, which ThreadSanitizer forbids, since it
/// cannot see what the parent's threads were at.
extern "C" const char* __tsan_default_options() {
  return "die_after_fork=0";
}
#endif

int main(int argc, char** argv) {
  return pollux::conformance::run(argc, argv);
}
