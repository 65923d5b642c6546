// SPDX-License-Identifier: MIT
// `pollux verify`: every history, every backend, the same trace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "options.hpp"

namespace pollux::tools {

struct VerifyOptions {
  std::vector<std::string> backends;  ///< none: all that are usable here
  std::string against;                ///< judge by what this one tells; empty: by the model
  std::vector<std::string> kinds;     ///< none: all
  std::string history;                ///< play this one, and show what is told; empty: search
  unsigned depth = 4;
  double seconds = 0;  ///< then random histories, for as long as this
  std::uint64_t seed = 1;
  bool json = false;
};

/// Returns the exit status: 0 if every history was told as the contract has it, on every backend,
/// or as the one told it that they are judged by.
int verify(const VerifyOptions& options);

}  // namespace pollux::tools
