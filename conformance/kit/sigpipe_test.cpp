// SPDX-License-Identifier: MIT
// A write into a connection that is over raises SIGPIPE, which by default ends the process. That is
// for the owner's writes: what a reactor does by itself to find out that it is over raises none,
// and leaves the thread's mask, and what the owner holds up, as they were.
#include <csignal>
#include <cstddef>
#include <string>

#include <pthread.h>

#include <pollux/relay.hpp>

#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

volatile std::sig_atomic_t raised = 0;

/// While it lives, SIGPIPE is counted.
class CountedSigpipe {
 public:
  CountedSigpipe() {
    raised = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { raised = raised + 1; };
    ::sigaction(SIGPIPE, &action, &before_);
  }
  CountedSigpipe(const CountedSigpipe&) = delete;
  CountedSigpipe& operator=(const CountedSigpipe&) = delete;
  ~CountedSigpipe() { ::sigaction(SIGPIPE, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

/// While it lives, this thread holds SIGPIPE up.
class HeldSigpipe {
 public:
  HeldSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  HeldSigpipe(const HeldSigpipe&) = delete;
  HeldSigpipe& operator=(const HeldSigpipe&) = delete;
  ~HeldSigpipe() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  bool is_held() const {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return ::sigismember(&mask, SIGPIPE) == 1;
  }
  /// Whether there was one; takes it.
  bool take() const {
    sigset_t pending;
    ::sigpending(&pending);
    int signo = 0;  // macOS has no sigtimedwait()
    return ::sigismember(&pending, SIGPIPE) == 1 && ::sigwait(&pipe_, &signo) == 0;
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
};

class NoSigpipe : public OnEachKind {
 protected:
  /// Everything after which a send is an error, looked at with each interest.
  void deliver_all_ends() {
    for (const Interest interest :
         {Interest::readable, Interest::none, Interest::readable | Interest::peer_closed,
          Interest::readable | Interest::writable}) {
      const History histories[] = {
          [](Pair& pair) { end_both(pair.local); },
          [](Pair& pair) {
            end_writing(pair.local);
            pair.peer.close();
          },
          [](Pair& pair) { pair.peer.close(); },
          [](Pair& pair) { reset_by_peer(pair); },
      };
      for (const History& history : histories) {
        Pair pair = make_pair(kind());
        Recorder local{reactor(), pair.local, interest};
        settle(reactor());
        history(pair);
        settle(reactor());
        local.watch.set_interest(Interest::readable);
        settle(reactor());
      }
    }
  }
};

TEST_P(NoSigpipe, IsRaisedByAnEnd) {
  const CountedSigpipe counted;
  deliver_all_ends();
  EXPECT_EQ(raised, 0);
}

TEST_P(NoSigpipe, IsLeftBehindWhereItIsHeldUp) {
  const HeldSigpipe held;
  deliver_all_ends();
  EXPECT_TRUE(held.is_held());
  EXPECT_FALSE(held.take());
}

TEST_P(NoSigpipe, OfTheOwnersIsTaken) {
  const CountedSigpipe counted;
  {
    const HeldSigpipe held;
    ::raise(SIGPIPE);
    deliver_all_ends();
    EXPECT_TRUE(held.is_held());
    EXPECT_EQ(raised, 0);
  }
  EXPECT_EQ(raised, 1);
}

TEST_P(NoSigpipe, IsRaisedByWhatARelayGivesToAnEndThatIsGone) {
  const CountedSigpipe counted;
  Pair first = make_pair(kind());
  Pair second = make_pair(kind());
  Relay relay{Stream{reactor(), UniqueHandle{first.local.release()}},
              Stream{reactor(), UniqueHandle{second.local.release()}}};
  const std::string much(1'000'000, 'x');
  const auto sent = static_cast<std::size_t>(write_bytes(first.peer, much));
  std::string got;
  EXPECT_TRUE(run_until(reactor(), second.peer, [&] {
    while (got.size() < sent && read_onto(got, second.peer) > 0) {
    }
    return got.size() == sent;
  }));
  write_bytes(first.peer, much);
  second.peer.close();
  EXPECT_TRUE(run_until(reactor(), first.peer, [&] { return !relay; }));
  EXPECT_EQ(raised, 0);
}

POLLUX_ON_EACH_KIND(NoSigpipe, sockets);

}  // namespace
}  // namespace pollux::conformance
