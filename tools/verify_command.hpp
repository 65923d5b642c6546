// SPDX-License-Identifier: MIT
// `pollux verify`: every history, every backend, the same trace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options.hpp"

namespace pollux::tools {

struct VerifyOptions {
  std::vector<std::string> backends;  ///< none: all that are usable here
  std::string against;                ///< judge by what this one tells; empty: by the model
  std::vector<std::string> kinds;     ///< none: all
  std::vector<std::string> without;   ///< operations to leave out
  std::string history;                ///< play this one, and show what is reported; empty: search
  unsigned depth = 4;
  /// Every history of so many of all operations; unset: what `depth` makes affordable.
  std::optional<unsigned> depth_of_all;
  /// Then so many random histories for each kind and pace; unset: likewise.
  std::optional<std::uint64_t> random;
  double seconds = 0;  ///< if not 0, random ones for as long as this instead
  std::uint64_t seed = 1;
  bool json = false;
};

/// Returns the exit status: 0 if every history was reported as the contract has it, on every
/// backend, or as the one told it that they are judged by.
int verify(const VerifyOptions& options);

}  // namespace pollux::tools
