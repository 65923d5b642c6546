// SPDX-License-Identifier: MIT
// Children: told once, with what has become of them, and waited for by nobody but who watches them.
// Each test is run with the descriptors that Linux has of a child, and as on a system without: a
// process that may open no more descriptors gets none, and learns of its children by SIGCHLD.
#include <cerrno>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/processes.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// As long as this lives, the process can open no descriptor.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

struct Way {
  std::string_view backend;
  bool by_signal;
};
void PrintTo(const Way& way, std::ostream* to) {
  *to << way.backend << (way.by_signal ? "_by_signal" : "");
}
std::vector<Way> ways() {
  std::vector<Way> all;
  for (const std::string_view name : backend_rows()) {
    all.push_back({name, false});
    all.push_back({name, true});
  }
  return all;
}

class AChild : public KitTest, public testing::WithParamInterface<Way> {
 protected:
  std::string_view backend() const override { return GetParam().backend; }

  /// A watch that keeps what it is told.
  ChildWatch watch(const ChildProcess& child) { return watch(reactor(), child); }
  ChildWatch watch(Reactor& on, const ChildProcess& child) {
    return watch(on, child, [this](const ChildExit& exit) { delivered.push_back(exit); });
  }
  ChildWatch watch(Reactor& on, const ChildProcess& child, Handler<ChildExit> handler) {
    std::optional<NoMoreDescriptors> none;
    if (GetParam().by_signal) none.emplace();
    return on.on_child_exit(child.pid(), std::move(handler));
  }

  std::deque<ChildExit> delivered;
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
    EXPECT_FALSE(child.is_there()) << "it has been waited for";
    EXPECT_TRUE(sleeps());
    delivered.clear();
  }
  EXPECT_EQ(reactor().stats().process_events, 3u);
  EXPECT_EQ(reactor().stats().events, 0u);
}

TEST_P(AChild, IsDeliveredWithTheSignalThatEndedIt) {
  for (const int signo : {SIGKILL, SIGTERM}) {
    Gate gate;
    const ChildProcess child{gate, 0};
    const ChildWatch own = watch(child);
    child.kill(signo);
    EXPECT_EQ(reactor().run_once(), 1u);
    ASSERT_EQ(delivered.size(), 1u);
    EXPECT_TRUE(delivered[0].signaled());
    EXPECT_EQ(delivered[0].term_signal(), signo);
    EXPECT_EQ(delivered[0].exit_code(), 0);
    EXPECT_FALSE(delivered[0].exited() || delivered[0].core_dumped() || delivered[0].error());
    delivered.clear();
  }
}

TEST_P(AChild, ThatOnlyStopsHasNotEnded) {
  Gate gate;
  const ChildProcess child{gate, 0};
  const ChildWatch own = watch(child);
  child.kill(SIGSTOP);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WSTOPPED);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(reactor().poll(), 0u);
  child.kill(SIGCONT);
  gate.open();
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(AChild, ThatHasEndedAlreadyIsDeliveredInTheNextTurnAndNotAtOnce) {
  const ChildProcess child{7};
  child.await_death();
  const ChildWatch own = watch(child);
  EXPECT_TRUE(delivered.empty());
  EXPECT_EQ(reactor().poll(), 1u);
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_EQ(delivered[0].exit_code(), 7);
}

TEST_P(AChild, WatchedByAHandlerIsDeliveredInTheNextTurn) {
  const ChildProcess first{1};
  const ChildProcess second{2};
  first.await_death();
  second.await_death();
  ChildWatch nested;
  const ChildWatch own = watch(reactor(), first, [&](const ChildExit&) { nested = watch(second); });
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_TRUE(delivered.empty());
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(delivered.size(), 1u);
}

TEST_P(AChild, IsOneOfManyThatEndAtOnce) {
  constexpr int count = 100;
  Gate gate;
  std::vector<ChildProcess> children;
  std::vector<ChildWatch> watches;
  for (int i = 0; i < count; ++i) {
    children.emplace_back(gate, i);
    watches.push_back(watch(children.back()));
  }
  gate.open();
  EXPECT_TRUE(run_until(reactor(), [&] { return delivered.size() == count; }));
  EXPECT_EQ(reactor().poll(), 0u);
  for (const ChildExit& exit : delivered) {
    ASSERT_TRUE(exit.exited());
    EXPECT_EQ(exit.pid(), children[static_cast<std::size_t>(exit.exit_code())].pid());
  }
}

TEST_P(AChild, ThatNobodyWatchesIsNotWaitedFor) {
  const ChildProcess other{3};
  other.await_death();
  const ChildProcess child{7};
  const ChildWatch own = watch(child);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_TRUE(other.is_there());
}

TEST_P(AChild, WhoseWatchHasEndedIsLeftToItsOwner) {
  const ChildProcess child{7};
  child.await_death();
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
    child.await_death();
    watches.push_back(watch(reactor(), child, [&](const ChildExit& exit) {
      delivered.push_back(exit);
      watches.clear();
    }));
  }
  EXPECT_EQ(reactor().poll(), 1u);
  EXPECT_EQ(reactor().poll(), 0u);
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_NE(children[0].is_there(), children[1].is_there());
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
    child.await_death();
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
    child.await_death();
    watches.push_back(watch(reactor(), child, [](const ChildExit&) {
      throw std::runtime_error{"thrown by a handler"};
    }));
  }
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_THROW(reactor().poll(), std::runtime_error);
  EXPECT_EQ(reactor().poll(), 0u);
}

TEST_P(AChild, IsDeliveredAfterWhatItHadWritten) {
  Pair output = make_pair(PairKind::pipe);
  std::string order;
  const ChildProcess child{[&] { return write_bytes(output.peer, "abc") == 3 ? 0 : 1; }};
  const Timer timer = reactor().after(0s, [&] { order += " timer"; });
  const ChildWatch own = watch(reactor(), child, [&](const ChildExit&) { order += " exit"; });
  const Watch readable = reactor().watch(output.local.get(), Interest::readable, [&](Readiness) {
    drain(output.local);
    order += "output";
  });
  child.await_death();
  EXPECT_EQ(reactor().poll(), 3u);
  EXPECT_EQ(order, "output exit timer");
}

TEST_P(AChild, ThatIsNoneIsRefused) {
  const ChildProcess over{0};
  ::waitpid(over.pid(), nullptr, 0);
  for (const pid_t pid : {-1, 0, ::getpid(), ::getppid(), over.pid()}) {
    std::error_code error;
    EXPECT_FALSE(reactor().on_child_exit(
        pid, [](const ChildExit&) {}, error));
    EXPECT_EQ(error, std::errc::no_child_process) << pid;
    EXPECT_THROW(static_cast<void>(reactor().on_child_exit(pid, [](const ChildExit&) {})),
                 std::system_error);
  }
  std::error_code error;
  Reactor closed{"no such backend", error};
  EXPECT_FALSE(closed.on_child_exit(
      over.pid(), [](const ChildExit&) {}, error));
  EXPECT_EQ(error, Errc::reactor_closed);
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

TEST_P(AChild, ThatSomebodyElseHasWaitedForIsDeliveredWithAnError) {
  Gate gate;
  const ChildProcess child{gate, 7};
  const ChildWatch own = watch(child);
  gate.open();
  ::waitpid(child.pid(), nullptr, 0);
  EXPECT_EQ(reactor().run_once(), 1u);
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_EQ(delivered[0].pid(), child.pid());
  EXPECT_EQ(delivered[0].error(), std::errc::no_child_process);
  EXPECT_FALSE(delivered[0].exited() || delivered[0].signaled() || delivered[0].core_dumped());
  EXPECT_TRUE(sleeps());
}

/// The next byte that another process writes.
char answer(const Handle& handle) {
  pollfd waited{handle.get(), POLLIN, 0};
  while (::poll(&waited, 1, 5000) < 0 && errno == EINTR) {  // SIGCHLD may be watched
  }
  char byte = 0;
  return ::read(handle.get(), &byte, 1) == 1 ? byte : '-';
}

TEST_P(AChild, ThatADebuggerHoldsTurnsNoLoopAndIsDeliveredWhenItIsLetGo) {
  Gate end;
  Gate let_go;
  const Pair talk = make_pair(PairKind::unix_stream);
  const ChildProcess child{[&] {
    allow_debuggers();
    write_bytes(talk.peer, "r");
    end.pass();
    return 7;
  }};
  ASSERT_EQ(answer(talk.local), 'r');
  const ChildProcess debugger{[&] {
    end.open();
    const bool holds = hold_as_debugger(child.pid());
    write_bytes(talk.peer, holds ? "h" : "n");
    if (holds) child.await_death();
    write_bytes(talk.peer, "d");
    let_go.pass();
    return 0;
  }};
  const bool held = answer(talk.local) == 'h';
  if (!held) RecordProperty("not_played", "nobody can be held as a debugger does here");
  const ChildWatch own = watch(child);
  end.open();
  ASSERT_EQ(answer(talk.local), 'd');
  if (held) {
    EXPECT_TRUE(sleeps());
    EXPECT_TRUE(delivered.empty());
  }
  let_go.open();
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(delivered.at(0).exit_code(), 7);
}

TEST_P(AChild, WatchedByTwoReactorsIsDeliveredToOneAndAnErrorToTheOther) {
  Reactor other{make_contestant(backend())};
  const ChildProcess child{7};
  const ChildWatch own = watch(child);
  const ChildWatch elsewhere = watch(other, child);
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(other.run_once(), 1u);
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0].exit_code(), 7);
  EXPECT_EQ(delivered[1].error(), std::errc::no_child_process);
}

TEST_P(AChild, LeavesItsSignalToThoseWhoWatchIt) {
  struct sigaction before {};
  ::sigaction(SIGCHLD, nullptr, &before);
  {
    std::size_t received = 0;
    const SignalWatch signal = reactor().on_signal(SIGCHLD, [&](int) { ++received; });
    const ChildProcess child{7};
    const ChildWatch own = watch(child);
    EXPECT_TRUE(run_until(reactor(), [&] { return !delivered.empty() && received > 0; }));
  }
  struct sigaction after {};
  ::sigaction(SIGCHLD, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST_P(AChild, IsSomethingDueForALoopInPieces) {
  Gate gate;
  const ChildProcess child{gate, 7};
  const ChildWatch own = watch(child);
  reactor().poll();
  EXPECT_EQ(reactor().prepare(), std::nullopt);
  gate.open();
  child.await_death();
  std::error_code error;
  pollfd waited{reactor().native_handle(error), POLLIN, 0};
  if (!error) {
    EXPECT_EQ(::poll(&waited, 1, 5000), 1);
  }
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
  EXPECT_EQ(delivered.size(), 1u);
  EXPECT_FALSE(reactor().check());
}

TEST_P(AChild, WatchedWhileAnotherLoopWaitsIsNotMissed) {
  const ChildProcess child{7};
  child.await_death();
  bool again = false;
  reactor().on_reschedule([&] { again = true; });
  EXPECT_EQ(reactor().prepare(), std::nullopt);
  const ChildWatch own = watch(child);
  std::error_code error;
  pollfd waited{reactor().native_handle(error), POLLIN, 0};
  EXPECT_TRUE(again || error || ::poll(&waited, 1, 5000) == 1);
  EXPECT_TRUE(reactor().check());
  EXPECT_EQ(reactor().dispatch(), 1u);
}

TEST_P(AChild, IsItsParentsAfterAForkToo) {
  Gate gate;
  const ChildProcess child{gate, 7};
  ChildWatch own = watch(child);
  EXPECT_TRUE(in_a_child([&] {
    std::error_code error;
    const ChildProcess grandchild{3};
    const ChildWatch refused = reactor().on_child_exit(
        grandchild.pid(), [](const ChildExit&) {}, error);
    const bool said = !refused && error == Errc::forked;
    reactor().after_fork();
    const ChildWatch nested = watch(grandchild);
    gate.open();
    const bool received =
        reactor().run_once() == 1 && delivered.size() == 1 && delivered[0].exit_code() == 3;
    own.reset();
    return said && received && reactor().poll() == 0;
  }));
  gate.open();
  EXPECT_EQ(reactor().run_once(), 1u);
  EXPECT_EQ(delivered.at(0).exit_code(), 7);
}

TEST_P(AChild, IsItsParentsAlsoIfAForkedReactorIsDestroyedUntold) {
  auto forked = std::make_unique<Reactor>(make_contestant(backend()));
  const ChildProcess child{7};
  ChildWatch own = watch(*forked, child);
  EXPECT_TRUE(in_a_child([&] {
    own.reset();
    forked.reset();
    return true;
  }));
  EXPECT_EQ(forked->run_once(5s), 1u);
  EXPECT_EQ(delivered.at(0).exit_code(), 7);
}

INSTANTIATE_TEST_SUITE_P(, AChild, testing::ValuesIn(ways()), testing::PrintToStringParamName());

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
