// SPDX-License-Identifier: MIT
#include <charconv>
#include <iostream>
#include <string_view>
#include <utility>

#include <pollux/testing/conformance.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {

namespace {

/// Takes `--depth=<n>`; false for anything else.
bool take_argument(std::string_view argument) {
  constexpr std::string_view flag = "--depth=";
  if (!argument.starts_with(flag)) return false;
  const char* const end = argument.data() + argument.size();
  const auto parsed = std::from_chars(argument.data() + flag.size(), end, history_depth);
  return parsed.ec == std::errc{} && parsed.ptr == end;
}

}  // namespace

void add_backend(std::string name, Maker make) {
  add_contestant({std::move(name), std::move(make)});
}

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);  // leaves what it does not know
  for (int i = 1; i < argc; ++i) {
    if (take_argument(argv[i])) continue;
    std::cerr << "unknown argument: " << argv[i] << '\n';
    return 2;
  }
  for (const Absentee& absentee : absentees()) std::cerr << to_string(absentee) << '\n';
  std::cerr << left_out_here();
  if (contestants().empty() && !testing::GTEST_FLAG(list_tests)) {
    std::cerr << "so there is nothing to test\n";
    return 1;
  }
  ignore_broken_pipes();
  return RUN_ALL_TESTS();
}

}  // namespace pollux::conformance
