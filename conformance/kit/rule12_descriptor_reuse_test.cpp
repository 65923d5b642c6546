// SPDX-License-Identifier: MIT
// Rule 12: an event fetched for an old descriptor never reaches a new watch that got the same
// number, not even inside one turn. Goal: two events fetched by one wait, where the first handler
// closes what the second event is for, and watches something else under its number.
#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class DescriptorReuse : public OnEachKind {
 protected:
  /// Gives the number of `taken`, which is closed, to `other`.
  static void take_number(Handle& taken, Handle& other) {
    const NativeHandle number = taken.get();
    taken.close();
    Handle same = duplicate_at(other, number);
    ASSERT_TRUE(same);
    other = std::move(same);
  }

  /// Both of two watches have an event in one turn; whichever hears first ends the other, if it is
  /// `unwatched`, and gives its number to a third, which must not learn of it.
  void expect_no_mix_up(bool unwatched, const History& event) {
    Pair pairs[] = {make_pair(kind()), make_pair(kind())};
    Pair fresh = make_pair(kind());
    Recorder first{reactor(), pairs[0].local, Interest::readable};
    Recorder second{reactor(), pairs[1].local, Interest::readable};
    std::optional<Recorder> third;
    const auto replace = [&](Recorder& other, Handle& handle) {
      if (third) return;
      if (unwatched) other.watch.reset();
      take_number(handle, fresh.local);
      third.emplace(reactor(), fresh.local, Interest::readable);
    };
    first.on_event([&](const StreamEvent&) { replace(second, pairs[1].local); });
    second.on_event([&](const StreamEvent&) { replace(first, pairs[0].local); });
    for (Pair& pair : pairs) event(pair);

    EXPECT_EQ(reactor().run_once(std::chrono::seconds{5}), 1u);
    ASSERT_TRUE(third);
    EXPECT_TRUE(third->events().empty());
    EXPECT_TRUE(delivers_nothing(*third));
    EXPECT_TRUE(first.events().empty() || second.events().empty());
    write_bytes(fresh.peer, "abc");
    EXPECT_TRUE(delivers(*third, "readable"));
    EXPECT_TRUE(first.events().empty() || second.events().empty());
  }
};

TEST_P(DescriptorReuse, BytesForTheOldOneAreNotDeliveredToTheNewOne) {
  for (const bool unwatched : {true, false}) {
    SCOPED_TRACE(unwatched);
    expect_no_mix_up(unwatched, [](Pair& pair) { write_bytes(pair.peer, "abc"); });
  }
}

TEST_P(DescriptorReuse, TheEndOfTheOldOneIsNotDeliveredToTheNewOne) {
  for (const bool unwatched : {true, false}) {
    SCOPED_TRACE(unwatched);
    expect_no_mix_up(unwatched, [](Pair& pair) { pair.peer.close(); });
  }
}

TEST_P(DescriptorReuse, TheSameHoldsForReadinessWatches) {
  Pair pairs[] = {make_pair(kind()), make_pair(kind())};
  Pair fresh = make_pair(kind());
  Watch watches[2];
  Watch third;
  int old_calls = 0;
  int new_calls = 0;
  for (std::size_t i : {0u, 1u}) {
    watches[i] = reactor().watch(pairs[i].local.get(), Interest::readable, [&, i](Readiness) {
      if (++old_calls > 1) return;
      watches[1 - i].reset();
      take_number(pairs[1 - i].local, fresh.local);
      third =
          reactor().watch(fresh.local.get(), Interest::readable, [&](Readiness) { ++new_calls; });
    });
  }
  for (Pair& pair : pairs) write_bytes(pair.peer, "abc");
  EXPECT_EQ(reactor().run_once(std::chrono::seconds{5}), 1u);
  settle(reactor());
  EXPECT_EQ(new_calls, 0);
  write_bytes(fresh.peer, "abc");
  EXPECT_TRUE(run_until(reactor(), [&] { return new_calls > 0; }));
}

TEST_P(DescriptorReuse, TheNewOneIsTakenForTheOldAfterNoNumberOfTurns) {
  if (system_facts().is_emulated)
    return RecordProperty("not_played", "65536 turns, which take a minute or more under Wine");
  Pair pair = make_pair(kind());
  Pair fresh = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  std::uint64_t reported_in = 0;
  local.on_event([&](const StreamEvent&) { reported_in = reactor().stats().turns; });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  const std::size_t before = local.events().size();
  drain(pair.local);
  take_number(pair.local, fresh.local);
  // Room to write is asked for from inside a turn, as many turns later as 16 bits have numbers.
  const Pair busy = make_pair(cheapest_pair_kind());
  write_bytes(busy.peer, "never read");
  std::error_code answer;
  const Watch every_turn = reactor().watch(busy.local.get(), Interest::readable, [&](Readiness) {
    if (reactor().stats().turns - reported_in == 65536)
      local.watch.set_interest(Interest::readable | Interest::writable, answer);
  });
  for (int turn = 0; turn < 65540; ++turn) reactor().poll();
  EXPECT_EQ(local.events().size(), before);
}

TEST_P(DescriptorReuse, AcrossTurnsANumberIsAsGoodAsNew) {
  for (int i = 0; i < 100; ++i) {
    Pair pair = make_pair(kind());
    Recorder local{reactor(), pair.local, Interest::readable};
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
    if (i % 3 == 0) pair.local.close();  // before its watch ends
  }
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_KIND(DescriptorReuse, streams);

}  // namespace
}  // namespace pollux::conformance
