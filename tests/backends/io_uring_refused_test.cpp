// SPDX-License-Identifier: MIT
// What the io_uring backend makes of a ring that takes nothing for a moment, while its queue is
// full.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <pollux/backends.hpp>

#include "conformance/support/pairs.hpp"

namespace {

/// Called by each io_uring_enter() of this program: what it is to fail with, or 0.
std::function<int()> refusal_to_enter;

}  // namespace

extern "C" {

/// In place of liburing's, whose declaration has changed from version to version.
int enter(unsigned ring, unsigned submitted, unsigned completions, unsigned flags, void* argument,
          std::size_t size) __asm__("io_uring_enter2");

int enter(unsigned ring, unsigned submitted, unsigned completions, unsigned flags, void* argument,
          std::size_t size) {
  const int refused = refusal_to_enter ? refusal_to_enter() : 0;
  if (refused != 0) return -refused;
  const long result =
      ::syscall(SYS_io_uring_enter, ring, submitted, completions, flags, argument, size);
  return result < 0 ? -errno : static_cast<int>(result);
}

}  // extern "C"

namespace pollux {
namespace {

using namespace support;
using namespace std::chrono_literals;

constexpr std::uint32_t many = 600;  // two requests each are more than the queue has room for

class AnIoUringThatTakesNothing : public testing::Test {
 protected:
  /// All are asked for by the kernel.
  void SetUp() override {
    std::error_code error;
    backend_ = make_backend("io_uring", error);
    ASSERT_FALSE(error) << error.message();
    for (std::uint32_t i = 0; i < many; ++i) {
      pairs_.push_back(make_pair(PairKind::unix_stream));
      ASSERT_FALSE(change(i, RawInterest::none, RawInterest::in));
    }
    wait();
  }
  void TearDown() override { refusal_to_enter = nullptr; }

  std::error_code change(std::uint32_t i, RawInterest from, RawInterest to) {
    return backend_->set_interest(pairs_[i].local.get(), from, to, {i, 1});
  }
  void change_all() {
    for (std::uint32_t i = 0; i < many; ++i)
      ASSERT_FALSE(change(i, RawInterest::in, RawInterest::in | RawInterest::rdhup));
  }
  /// A few waits, none of which has anything to report.
  void wait() {
    std::array<RawEvent, 512> out;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(backend_->wait(out, Timeout{1ms}).count, 0u);
  }
  /// Ends the watch and closes: whether the peer knows at once.
  bool is_let_go(std::uint32_t i, RawInterest interest) {
    EXPECT_FALSE(change(i, interest, RawInterest::none));
    pairs_[i].local.close();
    pollfd peer{pairs_[i].peer.get(), POLLRDHUP, 0};
    return ::poll(&peer, 1, 0) == 1;
  }

  std::unique_ptr<Backend> backend_;
  std::vector<Pair> pairs_;
};

TEST_F(AnIoUringThatTakesNothing, HasOneRequestForEachWhenItGoesOn) {
  // The queue may be full before a request is cancelled, or between that and the next.
  for (const bool odd : {false, true}) {
    const Pair fresh = make_pair(PairKind::unix_stream);
    if (odd) {
      ASSERT_FALSE(
          backend_->set_interest(fresh.local.get(), RawInterest::none, RawInterest::in, {many, 1}));
    }
    change_all();
    int refused = 0;
    refusal_to_enter = [&] { return ++refused == 1 ? EAGAIN : 0; };
    wait();
    refusal_to_enter = nullptr;
    EXPECT_GT(refused, 1);
    for (std::uint32_t i = 0; i < many; ++i)
      EXPECT_TRUE(is_let_go(i, RawInterest::in | RawInterest::rdhup)) << i;
    if (odd) {
      ASSERT_FALSE(
          backend_->set_interest(fresh.local.get(), RawInterest::in, RawInterest::none, {many, 1}));
    }
    pairs_.clear();
    SetUp();
  }
}

TEST_F(AnIoUringThatTakesNothing, LetsGoOfWhatEndsMeanwhile) {
  change_all();
  bool takes_nothing = true;
  refusal_to_enter = [&] { return takes_nothing ? EAGAIN : 0; };
  wait();
  // Once more, and then no more.
  refusal_to_enter = [&] { return std::exchange(takes_nothing, false) ? EAGAIN : 0; };
  EXPECT_TRUE(is_let_go(many - 1, RawInterest::in | RawInterest::rdhup));
  refusal_to_enter = nullptr;
  wait();
  for (std::uint32_t i = 0; i + 1 < many; ++i)
    EXPECT_TRUE(is_let_go(i, RawInterest::in | RawInterest::rdhup)) << i;
}

}  // namespace
}  // namespace pollux
