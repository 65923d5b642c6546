// SPDX-License-Identifier: MIT
// `pollux_on_backend <backend> <command...>`: becomes the command, with $POLLUX_BACKEND set, where
// the backend can be used. Elsewhere it says so and ends with 77, which ctest counts as left out;
// or with 1, if $POLLUX_REQUIRE_BACKENDS says that it is expected here.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "conformance/support/contestants.hpp"

int main(int argc, char** argv) {
  using namespace pollux::support;
  if (argc < 3) return 2;
  const std::string_view backend{argv[1]};
  const auto absent = std::ranges::find(absentees(), backend, &Absentee::name);
  if (absent != absentees().end()) {
    std::puts(to_string(*absent).c_str());
    return is_required(backend) ? 1 : 77;
  }
  ::setenv("POLLUX_BACKEND", argv[1], 1);
  ::execvp(argv[2], argv + 2);
  std::perror(argv[2]);
  return 1;
}
