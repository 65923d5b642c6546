// SPDX-License-Identifier: MIT
// What once was reported otherwise, and backends that are broken: each is caught. (Every history,
// on every backend, is conformance/kit/every_history_test.cpp.)
#include <csignal>

#include <gtest/gtest.h>

#include "conformance/engine/explorer.hpp"
#include "conformance/support/forwarding_backend.hpp"
#include "differential/broken_backends.hpp"

namespace pollux::differential {
namespace {

/// A writing end whose reader is gone raises SIGPIPE; the histories want to see the error.
class IgnoringSigpipe : public testing::Environment {
 public:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }
};
const auto* const ignoring_sigpipe = testing::AddGlobalTestEnvironment(new IgnoringSigpipe);

/// What once was reported otherwise somewhere, as the engine printed it.
class Regression : public testing::TestWithParam<const char*> {};

TEST_P(Regression, IsDeliveredAsTheContractHasIt) {
  const auto history = parse(GetParam());
  ASSERT_TRUE(history);
  for (const Contestant& contestant : usable_contestants()) {
    Player player{contestant.make};
    Witness contract;
    EXPECT_TRUE(plays_as_expected(player, *history, contract))
        << to_string(shrink(player, contestant.name, *history, contract));
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Regression,
    testing::Values(
        "tcp4 each: peer_write shutdown_read shutdown_write ask_writable",
        "tcp4 each: peer_write shutdown_write shutdown_read ask_writable",
        "pipe_reader each: peer_write peer_write peer_close ask_writable",
        "tcp4 each: shutdown_write peer_write ask_peer_closed pause peer_close",
        "tcp4 each: shutdown_write peer_write peer_shutdown_write ask_peer_closed",
        "unix marked: | peer_write read ask_writable",
        "connecting marked: | shutdown_write ask_writable",
        "listener marked: | peer_write read close",
        "tcp4 marked: | peer_write read unwatch | rewatch | write close",
        // Paused, with the hint at a FIN no longer asked for: the hang-up tells of it.
        "tcp4 marked: pause ask_peer_closed shutdown_read peer_write | shutdown_write "
        "peer_shutdown_write",
        // A failure that had been delivered, and so was masked: pausing is still heeded.
        "udp each: peer_close write pause read_one write read",
        // A newer mark makes an older urgent byte one of the stream, although a reset
        // is the answer to its own byte.
        "tcp4 at_end: peer_write peer_urgent shutdown_read shutdown_write peer_urgent "
        "read",
        "terminal each: peer_close rewatch",
        // Closing, a stream says nothing of a failure; and nothing at all after abort().
        "tcp4_stream at_end: close peer_reset", "pipe_reader_stream at_end: close reset",
        // What waited to be sent into a pipe was dropped.
        "pipe_writer_stream at_end: write abort_when_sent",
        // What was kept is unread.
        "unix_stream each: keep peer_write pause peer_close",
        // A write of the stream's own has taken the failure.
        "tcp4_stream at_end: ask_peer_closed write peer_reset",
        "tcp4_stream marked: peer_shutdown_write pause write peer_reset",
        "unix_stream at_end: write peer_write peer_close"));

class ABrokenBackend : public testing::TestWithParam<Contestant> {};

TEST_P(ABrokenBackend, IsCaught) {
  Plan plan;
  plan.kinds = {Kind::tcp4, Kind::unix_stream, Kind::pipe_reader};
  plan.depth = 3;
  plan.most_divergences = 1;
  plan.stop_at_most = true;
  const Contestant contestants[] = {GetParam()};
  const Report report = explore(plan, contestants);
  EXPECT_GT(report.divergent(), 0u);
  ASSERT_FALSE(report.divergences.empty());
  // What is printed as a test reads back as that history, and is short.
  const History& history = report.divergences.front().history;
  EXPECT_EQ(parse(to_string(history)), history);
  EXPECT_LE(history.ops.size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(, ABrokenBackend, testing::ValuesIn(broken_contestants()),
                         [](const auto& row) { return row.param.name; });

class ABrokenBackendOfAnotherSort : public testing::TestWithParam<Contestant> {};

TEST_P(ABrokenBackendOfAnotherSort, IsCaughtByTheOperationsBeyondTheCore) {
  Plan plan;
  plan.kinds = {Kind::tcp4, Kind::tcp4_both, Kind::unix_twice};
  plan.depth = 3;
  plan.depth_of_all = 2;
  plan.random_histories = 300;
  plan.most_divergences = 1;
  plan.stop_at_most = true;
  const Contestant contestants[] = {GetParam()};
  const Report report = explore(plan, contestants);
  ASSERT_FALSE(report.divergences.empty());
  // It is for what is broken, and no sound backend tells it otherwise.
  const History& history = report.divergences.front().history;
  Player sound{sound_contestant().make};
  Witness contract;
  EXPECT_TRUE(plays_as_expected(sound, history, contract)) << to_string(history);
  EXPECT_LE(history.ops.size(), 5u) << to_string(history);
}

INSTANTIATE_TEST_SUITE_P(, ABrokenBackendOfAnotherSort,
                         testing::ValuesIn(broken_for_longer_histories()),
                         [](const auto& row) { return row.param.name; });

TEST(AHistory, ThatNoKindKnowsIsNotRead) {
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("tcp4"));
  EXPECT_FALSE(parse("tcp4 sometimes: read"));
  EXPECT_FALSE(parse("carrier_pigeon each: read"));
  EXPECT_FALSE(parse("tcp4 each: sing"));
  EXPECT_FALSE(parse("pipe_reader each: shutdown_write"));
  EXPECT_FALSE(parse("tcp4 each: | read"));
  EXPECT_TRUE(parse("tcp4 at_end: read"));
  EXPECT_TRUE(parse("tcp4 marked: | read"));
}

/// Loses the first reports, and no other: what takes them is reported otherwise once.
class LosesTheFirst : public support::ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count == 1 && result.error == 0 && ++reports_ <= 4) result.count = 0;
    return result;
  }

 private:
  int reports_ = 0;
};

TEST(ADivergence, ThatDoesNotStandIsCountedAndShownAndNoFailure) {
  const Contestant contestants[] = {{"loses_the_first", Contestant::Make{[] {
                                       return std::make_unique<LosesTheFirst>(
                                           support::contestants().front().make());
                                     }}}};
  Plan plan;
  plan.kinds = {Kind::unix_stream};
  plan.depth = 2;
  plan.threads = 1;
  const Report report = explore(plan, contestants);
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_EQ(report.not_steady(), 1u);
  ASSERT_EQ(report.unsteady.size(), 1u);
  EXPECT_NE(report.unsteady.front().seen, report.unsteady.front().expected);
  EXPECT_NE(to_string(report.unsteady.front()).find("on loses_the_first"), std::string::npos);
}

}  // namespace
}  // namespace pollux::differential
