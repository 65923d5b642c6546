// SPDX-License-Identifier: MIT
// The kit on a broken backend: `broken_kit <backend> [GoogleTest's flags]`. Without a name, tells
// the names there are.
#include <algorithm>
#include <iostream>

#include <pollux/testing/conformance.hpp>

#include "differential/broken_backends.hpp"

int main(int argc, char** argv) {
  using namespace pollux::differential;
  auto all = broken_contestants();
  std::ranges::move(broken_beyond_one_stream(), std::back_inserter(all));
  std::ranges::move(broken_for_longer_histories(), std::back_inserter(all));
  if (argc < 2) {
    for (const Contestant& broken : all) std::cout << broken.name << '\n';
    return 0;
  }
  const auto found = std::ranges::find(all, std::string{argv[1]}, &Contestant::name);
  if (found == all.end()) return 2;
  // Under the name of the one that it spoils: that it has another is not what it has to fail for.
  pollux::conformance::add_backend(std::string{found->make()->name()},
                                   [&](std::error_code&) { return found->make(); });
  return pollux::conformance::run(argc - 1, argv + 1);
}
