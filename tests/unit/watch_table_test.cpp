// SPDX-License-Identifier: MIT
// Slots and generations.
#include "io/watch_table.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include <pollux/handler.hpp>

namespace pollux::detail {

namespace {

TEST(WatchTable, GivesOutTheLowestSlotsFirstAndTheLastFreedAgain) {
  WatchTable table;
  for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(table.acquire(5).slot, i);
  EXPECT_LT(table.size(), 2000u);
  table.release(700);
  table.release(3);
  EXPECT_EQ(table.acquire(5).slot, 3u);
  EXPECT_EQ(table.acquire(5).slot, 700u);
  EXPECT_EQ(table.acquire(5).slot, 1000u);
}

TEST(WatchTable, FindsASlotByItsTokenUntilItIsReleased) {
  WatchTable table;
  const Token token = table.acquire(5);
  ASSERT_NE(table.find(token), nullptr);
  EXPECT_EQ(table.find(token)->handle, 5);
  EXPECT_EQ(table.find({token.slot, token.generation + 1}), nullptr);
  EXPECT_EQ(table.find({table.size(), 0}), nullptr);
  table.release(token.slot);
  EXPECT_EQ(table.find(token), nullptr);
  const Token next = table.acquire(6);
  EXPECT_EQ(next.slot, token.slot);
  EXPECT_NE(next, token);
  EXPECT_EQ(table.find(token), nullptr);
}

TEST(WatchTable, LeavesASlotInTheListOfChangesWhenItIsReleased) {
  WatchTable table;
  const Token token = table.acquire(5);
  table.slot(token.slot).listed.changed = true;
  table.slot(token.slot).closed = true;
  table.release(token.slot);
  table.acquire(6);
  EXPECT_TRUE(table.slot(token.slot).listed.changed);
  EXPECT_FALSE(table.slot(token.slot).closed);
}

TEST(WatchTable, KeepsADisownedSlotInUse) {
  WatchTable table;
  const Token token = table.acquire(5);
  table.disown(token.slot);
  EXPECT_EQ(table.find(token), nullptr);
  EXPECT_NE(table.acquire(6).slot, token.slot);
  table.release(token.slot);
  const Token next = table.acquire(7);
  EXPECT_EQ(next.slot, token.slot);
  EXPECT_NE(next, token);
}

TEST(WatchTable, LeavesSlotsWhereTheyAreWhenItGrows) {
  WatchTable table;
  const Slot* const first = &table.slot(table.acquire(5).slot);
  for (int i = 0; i < 5000; ++i) table.acquire(6);
  EXPECT_EQ(&table.slot(0), first);
  EXPECT_EQ(first->handle, 5);
}

TEST(WatchTable, KnowsTheLastSlotPutDownForAHandle) {
  WatchTable table;
  EXPECT_EQ(table.by_handle(5), no_slot);
  EXPECT_EQ(table.by_handle(-1), no_slot);
  const Token first = table.acquire(5);
  EXPECT_EQ(table.by_handle(5), no_slot);
  table.put_handle(5, first.slot);
  EXPECT_EQ(table.by_handle(5), first.slot);
  const Token second = table.acquire(5);
  table.put_handle(5, second.slot);
  table.release(first.slot);
  EXPECT_EQ(table.by_handle(5), second.slot)
      << "the old one takes nothing of the new one's with it";
  table.release(second.slot);
  EXPECT_EQ(table.by_handle(5), no_slot);
}

TEST(WatchTable, DestroysTheHandlerWhenTheSlotIsFreeAlready) {
  struct Capture {
    WatchTable* table;
    Token* taken;
    Capture(WatchTable* t, Token* to) : table{t}, taken{to} {}
    Capture(Capture&& other) noexcept
        : table{std::exchange(other.table, nullptr)}, taken{other.taken} {}
    ~Capture() {
      if (table != nullptr) *taken = table->acquire(6);
    }
    void operator()(int) const {}
  };
  WatchTable table;
  Token taken{99, 99};
  const Token token = table.acquire(5);
  table.slot(token.slot).handler = Handler<int>{Capture{&table, &taken}};
  table.release(token.slot);
  EXPECT_EQ(taken.slot, token.slot);
  ASSERT_NE(table.find(taken), nullptr);
  EXPECT_EQ(table.find(taken)->handle, 6);
}

}  // namespace

}  // namespace pollux::detail
