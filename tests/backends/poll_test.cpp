// SPDX-License-Identifier: MIT
// What is the poll backend's own: poll(2) knows no registrations, so the backend must see for
// itself that a descriptor was closed under it.
#include <array>
#include <chrono>
#include <memory>
#include <span>

#include <fcntl.h>

#include <gtest/gtest.h>

#include <pollux/backends.hpp>

#include "conformance/support/limits.hpp"
#include "conformance/support/pairs.hpp"

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

/// poll(2) takes no descriptors under such a limit, and a set made in advance is asked.
class PollUnderALimit : public testing::Test {
 protected:
  void SetUp() override {
    std::error_code error;
    backend_ = make_backend("poll", error);
    ASSERT_FALSE(error) << error.message();
  }
  std::error_code add(const Handle& handle, std::uint32_t slot) {
    return backend_->set_interest(handle.get(), RawInterest::none, RawInterest::in, {slot, 1});
  }
  std::uint32_t wait(std::span<RawEvent> out) {
    return backend_->wait(out, Timeout{std::chrono::milliseconds{1}}).count;
  }

  std::unique_ptr<Backend> backend_;
  std::array<RawEvent, 4> out_;
};

TEST_F(PollUnderALimit, LearnsOfWhatIsRegisteredAfterAReset) {
  const Pair pair = make_pair(PairKind::unix_stream);
  for (int i = 0; i < 2; ++i) {
    ASSERT_FALSE(add(pair.local, 1));
    {
      const DescriptorLimit none{0};
      EXPECT_EQ(wait(out_), 0u);
      write_bytes(pair.peer, "abc");
      EXPECT_EQ(wait(out_), 1u);
      drain(pair.local);
    }
    ASSERT_FALSE(backend_->reset());
  }
}

TEST_F(PollUnderALimit, ForgetsWhatWasClosedBeforeItWasAskedFor) {
  Pair closed = make_pair(PairKind::unix_stream);
  const Pair open = make_pair(PairKind::unix_stream);
  ASSERT_FALSE(add(closed.local, 1));
  ASSERT_FALSE(add(open.local, 2));
  closed.local.close();
  write_bytes(open.peer, "abc");
  const DescriptorLimit none{0};
  std::uint32_t delivered = 0;
  for (int i = 0; i < 3 && delivered == 0; ++i) delivered = wait(out_);
  ASSERT_EQ(delivered, 1u);
  EXPECT_EQ(out_[0].token, (Token{2, 1}));
}

TEST_F(PollUnderALimit, NeitherWaitsInVainNorTakesTheNextFileForOneThatHasADuplicateLeft) {
  Pair closed = make_pair(PairKind::unix_stream);
  const Pair next = make_pair(PairKind::unix_stream);
  const Handle duplicate{::fcntl(closed.local.get(), F_DUPFD_CLOEXEC, 0)};
  ASSERT_FALSE(add(closed.local, 1));
  {
    const DescriptorLimit none{0};
    EXPECT_EQ(wait(out_), 0u);
  }
  const NativeHandle number = closed.local.get();
  closed.local.close();
  const Handle reused{::fcntl(next.local.get(), F_DUPFD_CLOEXEC, number)};
  ASSERT_EQ(reused.get(), number);
  ASSERT_FALSE(add(reused, 2));
  write_bytes(closed.peer, "for nobody");
  const DescriptorLimit none{0};
  EXPECT_EQ(wait(out_), 0u);
  EXPECT_EQ(wait(out_), 0u);
  // It would come back at once for what is closed, again and again.
  const auto before = backend_->system_calls();
  EXPECT_EQ(backend_->wait(out_, Timeout{std::chrono::milliseconds{1}}).count, 0u);
  EXPECT_LE(backend_->system_calls() - before, 3u);
  write_bytes(next.peer, "abc");
  EXPECT_EQ(wait(out_), 1u);
  EXPECT_EQ(out_[0].token, (Token{2, 1}));
  EXPECT_EQ(wait(out_), 1u);  // for as long as it lasts
}

}  // namespace
}  // namespace pollux
