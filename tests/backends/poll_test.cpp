// SPDX-License-Identifier: MIT
// What is the poll backend's own: poll(2) knows no registrations, so the backend must see for
// itself that a descriptor was closed under it.
#include <array>

#include <gtest/gtest.h>

#include <pollux/backends.hpp>

#include "support/pairs.hpp"

namespace pollux {
namespace {

using namespace support;

TEST(Poll, ForgetsAClosedDescriptorInsteadOfReportingItAsInvalid) {
  std::error_code error;
  const auto backend = make_backend("poll", error);
  ASSERT_TRUE(backend);
  Pair pair = make_pair(PairKind::tcp4);
  const NativeHandle number = pair.local.get();
  ASSERT_FALSE(backend->set_interest(number, RawInterest::none, RawInterest::in, {1, 1}));
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  write_bytes(pair.peer, "abc");
  std::array<RawEvent, 4> out;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backend->wait(out, Timeout::zero()).count, 0u);
  EXPECT_EQ(backend->set_interest(number, RawInterest::in, RawInterest::none, {1, 1}),
            std::errc::no_such_file_or_directory);
}

TEST(Poll, WithRoomForOneReportGoesOnWhereItLeftOffWhenEntriesMove) {
  std::error_code error;
  const auto backend = make_backend("poll", error);
  ASSERT_TRUE(backend);
  std::array<Pair, 4> pairs;
  for (std::uint32_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = make_pair(PairKind::unix_stream);
    write_bytes(pairs[i].peer, "abc");
    ASSERT_FALSE(
        backend->set_interest(pairs[i].local.get(), RawInterest::none, RawInterest::in, {i, 1}));
  }
  std::array<int, 4> times{};
  std::array<RawEvent, 1> out;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(backend->wait(out, Timeout::zero()).count, 1u);
    ++times[out[0].token.slot];
  }
  // The last entry fills the gap.
  ASSERT_FALSE(
      backend->set_interest(pairs[0].local.get(), RawInterest::in, RawInterest::none, {0, 1}));
  for (int i = 0; i < 9; ++i) {
    ASSERT_EQ(backend->wait(out, Timeout::zero()).count, 1u);
    ++times[out[0].token.slot];
  }
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i], 2) << i;
}

}  // namespace
}  // namespace pollux
