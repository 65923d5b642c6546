// SPDX-License-Identifier: MIT
// For programs that play the same on one backend after the other.
#pragma once

#include <iostream>
#include <string_view>
#include <system_error>

#include <pollux/backends.hpp>

namespace pollux::support {

/// Calls `play` with each backend that is usable here, or with the one of that name, and prints why
/// one is not usable. Whether there was one at all, and `play` has said of each that it went well.
template <class Play>
bool on_each_backend(std::string_view only, Play play) {
  bool well = true;
  bool found = false;
  for (const BackendInfo& backend : backends()) {
    if (!only.empty() && backend.name != only) continue;
    found = true;
    std::error_code error;
    if (!usable(backend, error)) {
      std::cout << backend.name << ": not usable here: " << error.message() << '\n';
      continue;
    }
    well = play(backend) && well;
  }
  if (!found) std::cout << "no backend is called " << only << '\n';
  return well && found;
}

}  // namespace pollux::support
