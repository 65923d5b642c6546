// SPDX-License-Identifier: MIT
// A backend that this machine cannot run has no rows. Where one is expected, that is a failure.
#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

TEST(Backends, AreHereWhereTheyAreRequired) {
  for (const Absentee& absentee : absentees()) {
    EXPECT_FALSE(is_required(absentee.name))
        << to_string(absentee) << ", and POLLUX_REQUIRE_BACKENDS has it";
  }
}

}  // namespace
}  // namespace pollux::conformance
