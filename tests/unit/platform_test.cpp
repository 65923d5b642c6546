// SPDX-License-Identifier: MIT
// What the core asks of the system, asked directly: what a reactor asks only in passing, or where
// something else would make up for a wrong answer.
#include <system_error>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

namespace {

TEST(ARegistry, KnowsNobodyWhoWasNotPutDown) {
  const Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  SystemCalls calls;
  HandleRegistry registry{calls};
  EXPECT_FALSE(registry.is_same(0, handle));
  ASSERT_FALSE(registry.add(2, handle));
  EXPECT_TRUE(registry.is_same(2, handle));
  EXPECT_FALSE(registry.is_same(1, handle));
  EXPECT_FALSE(registry.is_same(1'000'000, handle));
  registry.remove(2, handle);
  EXPECT_FALSE(registry.is_same(2, handle));
  ASSERT_FALSE(registry.add(2, handle));
  registry.reset();
  EXPECT_FALSE(registry.is_same(2, handle));
}

}  // namespace

}  // namespace pollux::support
