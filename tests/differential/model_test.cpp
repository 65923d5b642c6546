// SPDX-License-Identifier: MIT
// The model held to the kernel, without the library: what operations answer, and what a peer sees,
// where nobody watches.
#include <csignal>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/engine/batches.hpp"
#include "conformance/engine/explorer.hpp"

namespace pollux::differential {
namespace {

class TheModel : public testing::TestWithParam<Kind> {};

TEST_P(TheModel, KnowsWhatOperationsAnswer) {
  const std::string why =
      GetParam() == Kind::mptcp ? "its worker keeps no test's pace" : why_unavailable(GetParam());
  if (!why.empty()) return RecordProperty("not_played", why);
  std::signal(SIGPIPE, SIG_IGN);
  Plan plan;
  plan.depth = 0;
  plan.random_histories = 1000;
  Player player{support::contestants().front().make};
  Witness contract;
  const Batch random = batches(plan, GetParam()).back();
  for (std::uint64_t i = 0; i < random.count; ++i) {
    History history = random.at(i);
    const bool two = shape(GetParam()).watched == 2;
    std::erase(history.ops, Op::rewatch);
    std::erase(history.ops, Op::turn);
    // Both of two watches end at once.
    history.ops.insert(history.ops.begin(), {Op::unwatch, two ? Op::swap : Op::unwatch, Op::unwatch,
                                             two ? Op::swap : Op::unwatch});
    Trace seen;
    ASSERT_NE(judge(player, history, contract, &seen), Verdict::otherwise)
        << to_string(history) << "\n-- expected\n"
        << to_string(contract.expects(history, player), history) << "-- seen\n"
        << to_string(seen, history);
  }
}

/// A stream owns its descriptor: without it there is nothing to be done to that.
std::vector<Kind> watched_kinds() {
  std::vector<Kind> all{all_kinds().begin(), all_kinds().end()};
  std::erase_if(all, [](Kind kind) { return shape(kind).streamed.has_value(); });
  return all;
}

INSTANTIATE_TEST_SUITE_P(, TheModel, testing::ValuesIn(watched_kinds()),
                         [](const auto& row) { return std::string{to_string(row.param)}; });

}  // namespace
}  // namespace pollux::differential
