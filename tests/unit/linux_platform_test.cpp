// SPDX-License-Identifier: MIT
// What only Linux has, asked directly of the system (see platform_test.cpp).
#include <cstdint>
#include <ostream>
#include <string>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>

#include "conformance/support/pairs.hpp"
#include "platform/platform.hpp"

namespace pollux::support {

namespace {

namespace platform = detail::platform;
using detail::PeerFin;

/// Of a stream that was watched so late that nobody learnt the FIN's number.
class AFinOfMptcp : public testing::TestWithParam<PairKind> {
 protected:
  /// What the peer does is brought over by a thread of the kernel's.
  PeerFin once_there_is(short events) const {
    pollfd wait{pair_.local.get(), events, 0};
    EXPECT_EQ(::poll(&wait, 1, 5000), 1);
    std::error_code error;
    SystemCalls calls;
    platform::System system{calls};
    const auto type = system.stream_type(pair_.local.get(), error);
    EXPECT_FALSE(error) << error.message();
    return system.probe_peer_fin(pair_.local.get(), type, RawReady::none).found;
  }

  const Pair pair_ = make_pair(GetParam(), has_multipath() ? Protocol::multipath : Protocol::usual);
};

TEST_P(AFinOfMptcp, IsDistinguishedFromNoneBehindASingleByte) {
  write_bytes(pair_.peer, "x");
  EXPECT_EQ(once_there_is(POLLIN), PeerFin::not_received);
  shutdown_write(pair_.peer);
  EXPECT_EQ(once_there_is(POLLRDHUP), PeerFin::received);
}

TEST_P(AFinOfMptcp, IsDistinguishedFromAnOwnEndOfReadingBehindASingleByte) {
  write_bytes(pair_.peer, "x");
  EXPECT_EQ(once_there_is(POLLIN), PeerFin::not_received);
  shutdown_read(pair_.local);
  EXPECT_EQ(once_there_is(POLLRDHUP), PeerFin::not_received);
}

INSTANTIATE_TEST_SUITE_P(, AFinOfMptcp, testing::Values(PairKind::tcp4, PairKind::tcp6),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

TEST(AnEventfdInARegistry, IsPutDownInASetThatIsMadeOnceAndEachCallIsCounted) {
  const Handle first{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  const Handle second{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  SystemCalls calls;
  HandleRegistry registry{calls};
  ASSERT_FALSE(registry.add(0, first.get()));
  EXPECT_EQ(calls.made(), 3u) << "who it is, the set, and into it";
  ASSERT_FALSE(registry.add(1, second.get()));
  EXPECT_EQ(calls.made(), 5u);
  EXPECT_TRUE(registry.is_same(0, first.get()));
  EXPECT_EQ(calls.made(), 6u);
  registry.remove(0, first.get());
  EXPECT_EQ(calls.made(), 7u);
}

}  // namespace

}  // namespace pollux::support
