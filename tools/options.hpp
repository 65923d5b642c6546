// SPDX-License-Identifier: MIT
// What the subcommands' options have in common.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pollux::tools {

/// A command line that makes no sense: one sentence, exit status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Format { table, markdown, json };

Format parse_format(std::string_view name);

/// "a, b, c".
std::string list(std::span<const std::string_view> names);

/// Whether each of `available` is one of `wanted`, in any case of letters; all are if nothing is
/// wanted. Throws UsageError if one that is wanted isn't available; `what` says what they are.
std::vector<bool> choose(std::span<const std::string> wanted,
                         std::span<const std::string_view> available, std::string_view what);

}  // namespace pollux::tools
