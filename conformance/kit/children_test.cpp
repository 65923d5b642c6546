// SPDX-License-Identifier: MIT
// Children: told once, with what has become of them, and waited for by nobody but who watches them.
#include <csignal>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/children.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AChild : public WithChildren {
 protected:
  /// For a loop in pieces: that there is something to do, as another loop comes to know of it.
  bool comes_to_be_due() {
    std::error_code error;
    const NativeHandle handle = reactor().native_handle(error);
    const auto limit = std::chrono::steady_clock::now() + 5s;
    if (!error && !await(handle, Await::readable, 5s)) return false;
    while (!reactor().check()) {  // without a handle it has to ask
      if (std::chrono::steady_clock::now() > limit) return false;
      reactor().prepare();
    }
    return true;
  }
  /// Whether an owner finds the child as it is after pollux has waited for it.
  static bool is_reaped(const ChildProcess& child) {
    return child.is_there() != system_facts().children_are_reaped;
  }
};

TEST_P(AChild, IsDeliveredWithTheCodeThatItExitedWith) {
  for (const int code : {0, 7, 255}) {
    Gate gate;
    const ChildProcess child{gate, code};
    const ChildWatch own = watch(child);
    EXPECT_TRUE(own);
    EXPECT_TRUE(sleeps());
    gate.open();
    EXPECT_EQ(reactor().run_once(), 1u);
    ASSERT_EQ(delivered.size(), 1u);
    EXPECT_EQ(delivered[0].pid(), child.pid());
    EXPECT_TRUE(delivered[0].exited());
    EXPECT_EQ(delivered[0].exit_code(), code);
    EXPECT_FALSE(delivered[0].signaled() || delivered[0].core_dumped() || delivered[0].error());
    EXPECT_TRUE(is_reaped(child));
    EXPECT_TRUE(sleeps());
    delivered.clear();
  }
  EXPECT_EQ(reactor().stats().process_events, 3u);
  EXPECT_EQ(reactor().stats().events, 0u);
}

TEST_P(AChild, ThatHasEndedAlreadyIsDeliveredInTheNextTurnAndNotAtOnce) {
  const ChildProcess child{7};
  child.await_end();
  const ChildWatch own = watch(child);
  EXPECT_TRUE(delivered.empty());
  EXPECT_EQ(reactor().poll(), 1u);
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_EQ(delivered[0].exit_code(), 7);
}

TEST_P(AChild, WatchedByAHandlerIsDeliveredInTheNextTurn) {
  const ChildProcess first{1};
  const ChildProcess second{2};
  first.await_end();
  second.await_end();
  ChildWatch nested;
  const ChildWatch own = watch(reactor(), first, [&](const ChildExit&) { nested = watch(second); });
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_TRUE(delivered.empty());
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(delivered.size(), 1u);
}

TEST_P(AChild, IsOneOfManyThatEndAtOnce) {
  const int count = system_facts().is_emulated ? 20 : 100;  // each takes a tenth of a second there
  Gate gate;
  std::vector<ChildProcess> children;
  std::vector<ChildWatch> watches;
  for (int i = 0; i < count; ++i) {
    children.emplace_back(gate, i);
    watches.push_back(watch(children.back()));
  }
  gate.open();
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.size() == children.size(); }));
  EXPECT_EQ(reactor().poll(), 0u);
  for (const ChildExit& exit : delivered) {
    ASSERT_TRUE(exit.exited());
    EXPECT_EQ(exit.pid(), children[static_cast<std::size_t>(exit.exit_code())].pid());
  }
}

TEST_P(AChild, ThatNobodyWatchesIsNotWaitedFor) {
  const ChildProcess other{3};
  other.await_end();
  const ChildProcess child{7};
  const ChildWatch own = watch(child);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(other.is_there());
}

TEST_P(AChild, WhoseWatchHasEndedIsLeftToItsOwner) {
  const ChildProcess child{7};
  child.await_end();
  ChildWatch own = watch(child);
  own.reset();
  EXPECT_FALSE(own);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_TRUE(child.is_there());
  {
    Reactor gone{make_contestant(backend())};
    own = watch(gone, child);
  }
  EXPECT_TRUE(child.is_there());
  own.reset();
  const ChildWatch again = watch(child);
  EXPECT_EQ(reactor().poll(), 1u);
}

TEST_P(AChild, WhoseWatchIsEndedByAnotherHandlerIsLeftToItsOwner) {
  const ChildProcess children[] = {ChildProcess{1}, ChildProcess{2}};
  std::vector<ChildWatch> watches;
  for (const ChildProcess& child : children) {
    child.await_end();
    watches.push_back(watch(reactor(), child, [&](const ChildExit& exit) {
      delivered.push_back(exit);
      watches.clear();
    }));
  }
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  ASSERT_EQ(delivered.size(), 1u);
  if (system_facts().children_are_reaped) {
    EXPECT_NE(children[0].is_there(), children[1].is_there());
  }
}

TEST_P(AChild, MayEndItsOwnWatchInItsHandler) {
  const auto captured = std::make_shared<int>(0);
  const ChildProcess child{7};
  ChildWatch own;
  own = watch(reactor(), child, [&, captured](const ChildExit& exit) {
    own.reset();
    *captured = exit.exit_code();
  });
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(*captured, 7);
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_P(AChild, ThatIsDeliveredWhileTheLoopIsStoppedLeavesTheOthersToTheNext) {
  const ChildProcess children[] = {ChildProcess{1}, ChildProcess{2}};
  std::vector<ChildWatch> watches;
  for (const ChildProcess& child : children) {
    child.await_end();
    watches.push_back(watch(reactor(), child, [&](const ChildExit&) { reactor().stop(); }));
  }
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().run(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(AChild, WhoseHandlerThrowsWasDeliveredAndTheOthersFollow) {
  const ChildProcess children[] = {ChildProcess{1}, ChildProcess{2}};
  std::vector<ChildWatch> watches;
  for (const ChildProcess& child : children) {
    child.await_end();
    watches.push_back(watch(reactor(), child, [](const ChildExit&) {
      throw std::runtime_error{"thrown by a handler"};
    }));
  }
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(AChild, ThatIsNoneIsRefused) {
  for (const int pid : never_children()) {
    std::error_code error;
    EXPECT_FALSE(reactor().on_child_exit(
        pid, [](const ChildExit&) {}, error));
    EXPECT_EQ(error, std::errc::no_child_process) << pid;
    EXPECT_THROW(static_cast<void>(reactor().on_child_exit(pid, [](const ChildExit&) {})),
                 std::system_error);
  }
  const ChildProcess child{0};
  std::error_code error;
  Reactor closed{"no such backend", error};
  EXPECT_FALSE(closed.on_child_exit(
      child.pid(), [](const ChildExit&) {}, error));
  EXPECT_EQ(error, Errc::reactor_closed);
}

TEST_P(AChild, ByAHandleOfNoProcessIsRefused) {
  const ProcessHandle none = nullptr;
  std::error_code error;
  EXPECT_FALSE(reactor().on_child_exit(
      none, [](const ChildExit&) {}, error));
  EXPECT_EQ(error, system_facts().has_process_handles ? std::errc::bad_file_descriptor
                                                      : std::errc::function_not_supported);
  EXPECT_THROW(static_cast<void>(reactor().on_child_exit(none, [](const ChildExit&) {})),
               std::system_error);
}

TEST_P(AChild, IsWatchedOnceByAReactor) {
  const ChildProcess child{7};
  ChildWatch own = watch(child);
  std::error_code error;
  EXPECT_FALSE(reactor().on_child_exit(
      child.pid(), [](const ChildExit&) {}, error));
  EXPECT_EQ(error, std::errc::file_exists);
  own = ChildWatch{};
  own = watch(child);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(delivered.at(0).exit_code(), 7);
}

TEST_P(AChild, WatchedByTwoReactorsIsDeliveredByWhoeverComesFirst) {
  Reactor other{make_contestant(backend())};
  const ChildProcess child{7};
  const ChildWatch own = watch(child);
  const ChildWatch elsewhere = watch(other, child);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(other.run_once(), 1u);
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0].exit_code(), 7);
  if (system_facts().children_are_reaped) {
    EXPECT_EQ(delivered[1].error(), std::errc::no_child_process);
  } else {
    EXPECT_EQ(delivered[1].exit_code(), 7);
  }
}

TEST_P(AChild, IsSomethingDueForALoopInPieces) {
  Gate gate;
  const ChildProcess child{gate, 7};
  const ChildWatch own = watch(child);
  reactor().poll();
  EXPECT_EQ(reactor().prepare(), std::nullopt);
  gate.open();
  child.await_end();
  EXPECT_TRUE(comes_to_be_due());
  EXPECT_EQ(reactor().dispatch(), 1u);
  EXPECT_EQ(delivered.size(), 1u);
  EXPECT_FALSE(reactor().check());
}

TEST_P(AChild, WatchedWhileAnotherLoopWaitsIsNotMissed) {
  const ChildProcess child{7};
  child.await_end();
  bool again = false;
  reactor().on_reschedule([&] { again = true; });
  EXPECT_EQ(reactor().prepare(), std::nullopt);
  const ChildWatch own = watch(child);
  std::error_code error;
  const NativeHandle handle = reactor().native_handle(error);
  EXPECT_TRUE(again || error || await(handle, Await::readable, 5s));
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
}

INSTANTIATE_TEST_SUITE_P(, AChild, testing::ValuesIn(ways_to_watch()),
                         testing::PrintToStringParamName());

TEST(TheEndOfAChild, IsAnExitOrASignalOrUnknown) {
  const ChildExit exited{17, ChildExit::How::exited, 3};
  EXPECT_EQ(exited.pid(), 17);
  EXPECT_TRUE(exited.exited() && !exited.signaled() && !exited.core_dumped() && !exited.error());
  EXPECT_EQ(exited.exit_code(), 3);
  EXPECT_EQ(exited.term_signal(), 0);

  const ChildExit dumped{17, ChildExit::How::dumped_core, SIGABRT};
  EXPECT_TRUE(!dumped.exited() && dumped.signaled() && dumped.core_dumped() && !dumped.error());
  EXPECT_EQ(dumped.term_signal(), SIGABRT);
  EXPECT_EQ(dumped.exit_code(), 0);

  const ChildExit unknown{17, system_error_code(std::errc::no_child_process)};
  EXPECT_TRUE(!unknown.exited() && !unknown.signaled() && !unknown.core_dumped());
  EXPECT_EQ(unknown.error(), std::errc::no_child_process);
  EXPECT_EQ(unknown.exit_code(), 0);
}

}  // namespace
}  // namespace pollux::conformance
