// SPDX-License-Identifier: MIT
// The fuzzer's corpus, played by an ordinary program: also where there is no fuzzer. Goal: every
// file is a history, and is reported as the contract has it.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/engine/explorer.hpp"

namespace pollux::differential {
namespace {

std::vector<std::filesystem::path> corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{POLLUX_FUZZ_CORPUS})
    files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::optional<History> read(const std::filesystem::path& path) {
  std::ifstream file{path};
  return parse(std::string{std::istreambuf_iterator<char>{file}, {}});
}

class AFileOfTheCorpus : public testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }
};

TEST_P(AFileOfTheCorpus, IsDeliveredAsTheContractHasIt) {
  const auto history = read(GetParam());
  ASSERT_TRUE(history) << "no history";
  if (const std::string why = why_unavailable(*history); !why.empty())
    return RecordProperty("not_played", why);
  Witness contract;
  for (const Contestant& contestant : usable_contestants()) {
    Player player{contestant.make};
    EXPECT_TRUE(plays_as_expected(player, *history, contract))
        << to_string(shrink(player, contestant.name, *history, contract));
  }
}

INSTANTIATE_TEST_SUITE_P(, AFileOfTheCorpus, testing::ValuesIn(corpus()),
                         [](const auto& row) { return row.param.stem().string(); });

TEST(TheCorpus, HasEveryKindAndEveryOperation) {
  std::set<Kind> kinds;
  std::set<Op> ops;
  for (const auto& path : corpus()) {
    const History history = read(path).value_or(History{});
    kinds.insert(history.kind);
    ops.insert(history.ops.begin(), history.ops.end());
  }
  EXPECT_EQ(kinds.size(), all_kinds().size());
  EXPECT_EQ(ops.size(), op_count + 1);  // and `turn`
}

}  // namespace
}  // namespace pollux::differential
