// SPDX-License-Identifier: MIT
// An application's io_context, and a reactor on it.
#pragma once

#include <memory>
#include <system_error>

#include <gtest/gtest.h>

#include <pollux/asio.hpp>
#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

inline std::unique_ptr<Backend> backend_on(::asio::io_context& context) {
  std::error_code error;
  auto backend = make_asio_backend(context, error);
  EXPECT_FALSE(error) << error.message();
  return backend;
}

struct AsioContext : testing::Test {
  ::asio::io_context context;
  Reactor reactor{backend_on(context)};
  Pair pair = make_pair(PairKind::tcp4);
};

}  // namespace pollux::support
