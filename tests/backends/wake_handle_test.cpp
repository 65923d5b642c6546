// SPDX-License-Identifier: MIT
// The child of a fork has no wake handle of its own until reset() makes one, and that may fail.
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/contestants.hpp"
#include "conformance/support/processes.hpp"

namespace {

/// Called by each eventfd() of this program: what it is to fail with, or 0.
std::function<int()> refusal_of_handle;

}  // namespace

extern "C" int eventfd(unsigned count, int flags) noexcept {
  errno = refusal_of_handle ? refusal_of_handle() : 0;
  return errno != 0 ? -1 : static_cast<int>(::syscall(SYS_eventfd2, count, flags));
}

namespace pollux {
namespace {

using namespace support;

class AForkedBackend : public testing::TestWithParam<Contestant> {};

TEST_P(AForkedBackend, HasAWakeHandleOfItsOwnOrSaysSo) {
  const std::unique_ptr<Backend> backend = GetParam().make();
  const auto wake_a_child = [&](int nth) {
    EXPECT_TRUE(in_a_child([&] {
      int asked = 0;
      refusal_of_handle = [&] { return ++asked == nth ? ENFILE : 0; };
      const std::error_code error = backend->reset();
      if (error && error != std::errc::too_many_files_open_in_system) return false;
      if (error && backend->reset()) return false;
      backend->wake();
      return comes_back_within(*backend, std::chrono::seconds{5});
    })) << nth;
  };
  for (int nth = 1; nth <= 3; ++nth) {
    // A wait may end early for no reason, but not again and again.
    bool slept = false;
    for (int tries = 0; tries < 5 && !slept; ++tries) {
      wake_a_child(nth);
      slept = !comes_back_within(*backend, std::chrono::milliseconds{10});
    }
    EXPECT_TRUE(slept) << "the child has woken its parent";
  }
}

INSTANTIATE_TEST_SUITE_P(, AForkedBackend, testing::ValuesIn(contestants()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace pollux
