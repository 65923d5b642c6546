// SPDX-License-Identifier: MIT
// Children as POSIX has them: ended or stopped by a signal, waited for by number, copies of their
// parent, and held by a debugger.
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pollux/error.hpp>

#include "conformance/kit/children.hpp"
#include "conformance/support/processes.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class AChildOnPosix : public WithChildren {};

TEST_P(AChildOnPosix, IsDeliveredWithTheSignalThatEndedIt) {
  for (const int signo : {SIGKILL, SIGTERM}) {
    Gate gate;
    const ChildProcess child{gate, 0};
    const ChildWatch own = watch(child);
    ::kill(child.pid(), signo);
    EXPECT_EQ(reactor().run_once(), 1u);
    ASSERT_EQ(delivered.size(), 1u);
    EXPECT_TRUE(delivered[0].signaled());
    EXPECT_EQ(delivered[0].term_signal(), signo);
    EXPECT_EQ(delivered[0].exit_code(), 0);
    EXPECT_FALSE(delivered[0].exited() || delivered[0].core_dumped() || delivered[0].error());
    delivered.clear();
  }
}

TEST_P(AChildOnPosix, ThatOnlyStopsHasNotEnded) {
  Gate gate;
  const ChildProcess child{gate, 0};
  const ChildWatch own = watch(child);
  ::kill(child.pid(), SIGSTOP);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WSTOPPED);
  EXPECT_EQ(reactor().poll(), 0u);
  EXPECT_EQ(reactor().poll(), 0u);
  ::kill(child.pid(), SIGCONT);
  gate.open();
  EXPECT_EQ(reactor().run_once(), 1u);
}

TEST_P(AChildOnPosix, IsDeliveredAfterWhatItHadWritten) {
  Pair output = make_pair(PairKind::pipe);
  std::string order;
  const ChildProcess child{[&] { return write_bytes(output.peer, "abc") == 3 ? 0 : 1; }};
  const Timer timer = reactor().after(0s, [&] { order += " timer"; });
  const ChildWatch own = watch(reactor(), child, [&](const ChildExit&) { order += " exit"; });
  const Watch readable = reactor().watch(output.local.get(), Interest::readable, [&](Readiness) {
    drain(output.local);
    order += "output";
  });
  child.await_end();
  EXPECT_EQ(reactor().poll(), 3u);
  EXPECT_EQ(order, "output exit timer");
}

TEST_P(AChildOnPosix, ThatSomebodyElseHasWaitedForIsDeliveredWithAnError) {
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

TEST_P(AChildOnPosix, ThatHasBeenWaitedForIsRefused) {
  const ChildProcess over{0};
  ::waitpid(over.pid(), nullptr, 0);
  std::error_code error;
  EXPECT_FALSE(reactor().on_child_exit(
      over.pid(), [](const ChildExit&) {}, error));
  EXPECT_EQ(error, std::errc::no_child_process);
}

/// The next byte that another process writes.
char answer(const Handle& handle) {
  pollfd waited{handle.get(), POLLIN, 0};
  while (::poll(&waited, 1, 5000) < 0 && errno == EINTR) {  // SIGCHLD may be watched
  }
  char byte = 0;
  return ::read(handle.get(), &byte, 1) == 1 ? byte : '-';
}

TEST_P(AChildOnPosix, ThatADebuggerHoldsTurnsNoLoopAndIsDeliveredWhenItIsLetGo) {
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
    if (holds) child.await_end();
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

TEST_P(AChildOnPosix, LeavesItsSignalToThoseWhoWatchIt) {
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

TEST_P(AChildOnPosix, IsItsParentsAfterAForkToo) {
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

TEST_P(AChildOnPosix, IsItsParentsAlsoIfAForkedReactorIsDestroyedUntold) {
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

INSTANTIATE_TEST_SUITE_P(, AChildOnPosix, testing::ValuesIn(ways_to_watch()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace pollux::conformance
