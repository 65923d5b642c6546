// SPDX-License-Identifier: MIT
// Every history, every backend, the same trace: as a model of the contract predicts it. And
// backends that are broken are caught.
#include <csignal>

#include <gtest/gtest.h>

#include "differential/broken_backends.hpp"
#include "differential/explorer.hpp"

namespace pollux::differential {
namespace {

/// A writing end whose reader is gone raises SIGPIPE; the histories want to see the error.
class IgnoringSigpipe : public testing::Environment {
 public:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }
};
const auto* const ignoring_sigpipe = testing::AddGlobalTestEnvironment(new IgnoringSigpipe);

class EveryHistory : public testing::TestWithParam<Kind> {};

TEST_P(EveryHistory, IsToldAlikeOnEveryBackendAndAsTheContractHasIt) {
  const auto contestants = usable_contestants();
  Plan plan;
  plan.kinds = {GetParam()};
  plan.depth = POLLUX_TEST_DEPTH;
  plan.random_histories = 1500;
  const Report report = explore(plan, contestants);
  EXPECT_EQ(report.divergent(), 0u) << to_string(report.divergences);
  EXPECT_GT(report.histories(), 2000u);
  EXPECT_EQ(report.backends.size(), contestants.size());
}

INSTANTIATE_TEST_SUITE_P(, EveryHistory, testing::ValuesIn(all_kinds()),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

/// What once was told otherwise somewhere, as the engine printed it.
class Regression : public testing::TestWithParam<const char*> {};

TEST_P(Regression, IsToldAsTheContractHasIt) {
  const auto history = parse(GetParam());
  ASSERT_TRUE(history);
  for (const Contestant& contestant : usable_contestants()) {
    Player player{contestant.make()};
    EXPECT_TRUE(tells_as_predicted(player, *history))
        << contestant.name << '\n'
        << to_string(predict(*history, player.early_notice()), *history) << '\n'
        << to_string(player.play(*history), *history);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Regression,
    testing::Values("tcp4 each: peer_write shutdown_read shutdown_write ask_writable",
                    "tcp4 each: peer_write shutdown_write shutdown_read ask_writable",
                    "pipe_reader each: peer_write peer_write peer_close ask_writable",
                    "tcp4 each: shutdown_write peer_write ask_peer_closed pause peer_close",
                    "tcp4 each: shutdown_write peer_write peer_shutdown_write ask_peer_closed"));

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

TEST(AHistory, ThatNoKindKnowsIsNotRead) {
  EXPECT_FALSE(parse(""));
  EXPECT_FALSE(parse("tcp4"));
  EXPECT_FALSE(parse("tcp4 sometimes: read"));
  EXPECT_FALSE(parse("carrier_pigeon each: read"));
  EXPECT_FALSE(parse("tcp4 each: sing"));
  EXPECT_FALSE(parse("pipe_reader each: shutdown_write"));
  EXPECT_TRUE(parse("tcp4 at_end: read"));
}

}  // namespace
}  // namespace pollux::differential
