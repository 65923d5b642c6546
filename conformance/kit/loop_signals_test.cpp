// SPDX-License-Identifier: MIT
// The loop and signal handlers that are not its own: stop() and wake() from one, a wait that one
// interrupts, and SIGPIPE, which the library's own probes must not raise.
#include <atomic>
#include <chrono>
#include <csignal>

#include <sys/time.h>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::atomic<Reactor*> signalled{nullptr};

/// SIGALRM calls a function for as long as this lives, and the timer goes off every two
/// milliseconds.
class Interrupter {
 public:
  Interrupter(Reactor& reactor, void (*handler)(int)) {
    signalled = &reactor;
    struct sigaction action {};
    action.sa_handler = handler;
    ::sigaction(SIGALRM, &action, &before_);
    const itimerval every{{0, 2000}, {0, 2000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  }
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;
  ~Interrupter() {
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
    signalled = nullptr;
  }

 private:
  struct sigaction before_ {};
};

class TheLoopAndSignals : public OnEachBackend {};

TEST_P(TheLoopAndSignals, IsStoppedByASignalHandler) {
  const Interrupter interrupter{reactor(), [](int) { signalled.load()->stop(); }};
  EXPECT_EQ(reactor().run_forever(), 0u);
}

TEST_P(TheLoopAndSignals, IsWokenByASignalHandler) {
  const Interrupter interrupter{reactor(), [](int) { signalled.load()->wake(); }};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reactor().run_once(), 0u);
}

TEST_P(TheLoopAndSignals, IsNotCutShortByASignal) {
  const Pair pair = make_pair(cheapest_pair_kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  const Interrupter interrupter{reactor(), [](int) {}};
  const auto start = Clock::now();
  EXPECT_EQ(reactor().run_once(15ms), 0u);
  EXPECT_GE(Clock::now() - start, 15ms);
}

POLLUX_ON_EACH_BACKEND(TheLoopAndSignals);

class TheLoopsOwnProbes : public OnEachKind {};

TEST_P(TheLoopsOwnProbes, NeverRaiseSigpipe) {
  // With the signal at its default, which would kill: whatever the library sends to see whether one
  // may still write must not raise it.
  const auto ignored = std::signal(SIGPIPE, SIG_DFL);
  const History histories[] = {[](Pair& pair) { pair.peer.close(); },
                               [](Pair& pair) { end_writing(pair.local); },
                               [](Pair& pair) {
                                 end_writing(pair.local);
                                 pair.peer.close();
                               },
                               [](Pair& pair) { end_both(pair.local); },
                               [](Pair& pair) {
                                 write_bytes(pair.peer, "abc");
                                 pair.peer.close();
                                 end_writing(pair.local);
                               },
                               [](Pair& pair) {
                                 write_bytes(pair.peer, "abc");
                                 reset_by_peer(pair);
                               }};
  for (const History& history : histories) {
    for (const Interest interest :
         {Interest::none, Interest::readable, Interest::writable,
          Interest::readable | Interest::writable | Interest::peer_closed}) {
      before_and_after(interest, history, [&](Pair& pair, Recorder&) {
        settle(reactor());
        drain(pair.local);
        settle(reactor());
      });
    }
  }
  std::signal(SIGPIPE, ignored);
}

POLLUX_ON_EACH_KIND(TheLoopsOwnProbes, sockets);

}  // namespace
}  // namespace pollux::conformance
