// SPDX-License-Identifier: MIT
// What a backend's kernel does is tested where the kernel has it; elsewhere one line says so.
#include <algorithm>
#include <iostream>
#include <string_view>

#include <gtest/gtest.h>

#include "conformance/support/contestants.hpp"

int main(int argc, char** argv) {
  using namespace pollux::support;
  testing::InitGoogleTest(&argc, argv);
  const std::string_view backend{POLLUX_NATIVE_BACKEND};
  const auto absent = std::ranges::find(absentees(), backend, &Absentee::name);
  if (absent == absentees().end() || testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  std::cerr << to_string(*absent) << '\n';
  return is_required(backend) ? 1 : 0;
}
