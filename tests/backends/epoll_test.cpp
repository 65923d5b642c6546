// SPDX-License-Identifier: MIT
// What epoll does and the core above it lives with: facts that rules 2, 4, 11 and 16 are built
// upon. If one of these fails, a kernel has changed, and something in the core can be simpler or
// must be other.
#include <array>

#include <gtest/gtest.h>

#include <pollux/backends.hpp>

#include "support/pairs.hpp"

namespace pollux {
namespace {

using namespace support;

class Epoll : public testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    backend_ = make_backend("epoll", error);
    ASSERT_FALSE(error) << error.message();
  }

  std::error_code change(const Handle& handle, RawInterest from, RawInterest to) {
    return backend_->set_interest(handle.get(), from, to, token);
  }

  /// What one wait reports of the only registration; nothing is none.
  RawReady look() {
    std::array<RawEvent, 4> out;
    const WaitResult result = backend_->wait(out, Timeout::zero());
    EXPECT_LE(result.count, 1u);
    return result.count == 0 ? RawReady::none : out[0].ready;
  }

  static constexpr Token token{1, 1};
  std::unique_ptr<Backend> backend_;
};

TEST_F(Epoll, ReportsHangUpUnaskedForAsLongAsTheDescriptorIsInTheSet) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup));
  EXPECT_EQ(look(), RawReady::none);
  shutdown_both(pair.local);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(look(), RawReady::hup);
  ASSERT_FALSE(change(pair.local, RawInterest::hup, RawInterest::none));
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(Epoll, GoesOnReportingAClosedDescriptorWhoseFileADuplicateKeepsAliveAndCannotRemoveIt) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  const Handle copy = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(), RawReady::in);
  EXPECT_EQ(backend_->set_interest(number, RawInterest::in, RawInterest::none, token),
            std::errc::bad_file_descriptor);
  EXPECT_EQ(look(), RawReady::in);
  ASSERT_FALSE(backend_->reset());
  EXPECT_EQ(look(), RawReady::none) << "a set made anew does not know it";
}

TEST_F(Epoll, ForgetsAClosedDescriptorThatWasNeverDuplicated) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in));
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(look(), RawReady::in);
  pair.local.close();
  EXPECT_EQ(look(), RawReady::none);
}

TEST_F(Epoll, AskedForEdgesReportsAConditionThatStaysOnce) {
  Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.local, "left unread by the peer");
  reset_connection(pair.peer);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::hup | RawInterest::edge));
  EXPECT_EQ(look(), RawReady::hup | RawReady::err);
  EXPECT_EQ(look(), RawReady::none);
  ASSERT_FALSE(change(pair.local, RawInterest::hup | RawInterest::edge, RawInterest::hup));
  EXPECT_EQ(look(), RawReady::hup | RawReady::err) << "a change reports anew what is true";
}

TEST_F(Epoll, DoesNotReportTheEndOfAPipeAsRdhup) {
  Pair pair = make_pair(PairKind::pipe);
  ASSERT_FALSE(change(pair.local, RawInterest::none, RawInterest::in | RawInterest::rdhup));
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_EQ(look(), RawReady::in | RawReady::hup);
  drain(pair.local);
  EXPECT_EQ(look(), RawReady::hup);
}

}  // namespace
}  // namespace pollux
