// SPDX-License-Identifier: MIT
// The contract, as tests, on this backend; and what is particular to it.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <pollux/testing/conformance.hpp>

#include "select_backend.hpp"

TEST(ASelectBackend, RefusesWhatDoesNotFitIntoAnFdSet) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const int small = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const int large = ::fcntl(small, F_DUPFD, FD_SETSIZE);
  ASSERT_GE(large, FD_SETSIZE);
  std::error_code error;
  const auto backend = make_select_backend(error);
  EXPECT_EQ(backend->set_interest(large, pollux::RawInterest::none, pollux::RawInterest::in, {}),
            std::errc::value_too_large);
  ::close(large);
  ::close(small);
}

int main(int argc, char** argv) {
  pollux::conformance::add_backend("select", make_select_backend);
  return pollux::conformance::run(argc, argv);
}
