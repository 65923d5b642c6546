// SPDX-License-Identifier: MIT
// Rule 10: the error is fetched once, by the reactor, and handed over in the event; fetching it
// clears it in the kernel, so it must not be lost on the way. Where the owner took it first, the
// reactor reports the end it still sees, without a code. Goal: the code survives whatever happens
// between probe and event.
#include <cerrno>
#include <stdexcept>

#include "conformance/kit/kit.hpp"
#include "conformance/support/forwarding_backend.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class TheErrorIsFetchedOnce : public OnEachKind {
 protected:
  static void bytes_and_reset(Pair& pair) {
    write_bytes(pair.peer, "abc");
    reset_by_peer(pair);
  }
};

TEST_P(TheErrorIsFetchedOnce, AndIsNotInTheKernelAnyMore) {
  before_and_after(Interest::readable, reset_by_peer, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
    if (!system_facts().failure_is_taken) return;
    EXPECT_EQ(pending_error(pair.local), 0);
    EXPECT_EQ(read_bytes(pair.local), 0);
  });
}

TEST_P(TheErrorIsFetchedOnce, NotByTheProbesForTheBytesBeforeIt) {
  for (const Interest interest :
       {Interest::readable, Interest::readable | Interest::writable,
        Interest::readable | Interest::peer_closed,
        Interest::readable | Interest::writable | Interest::peer_closed}) {
    before_and_after(interest, bytes_and_reset, [&](Pair& pair, Recorder& local) {
      EXPECT_TRUE(delivers(local, "readable"));
      EXPECT_EQ(read_bytes(pair.local, 3), 3);
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
    });
  }
}

/// Something happens in the moment after a wait that has brought several reports.
class AMomentAfter : public support::ForwardingBackend {
 public:
  AMomentAfter(std::unique_ptr<Backend> inner, std::function<void()> action)
      : ForwardingBackend{std::move(inner)}, action_{std::move(action)} {}

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count > 1 && action_) std::exchange(action_, nullptr)();
    return result;
  }

 private:
  std::function<void()> action_;
};

TEST_P(TheErrorIsFetchedOnce, AlsoWhereTheStreamFailsBetweenTheWaitAndTheLook) {
  Pair pairs[2] = {make_pair(kind()), make_pair(kind())};
  Reactor on{std::make_unique<AMomentAfter>(make_contestant(backend()), [&] {
    for (Pair& pair : pairs) {
      drain(pair.local);
      reset_by_peer(pair);
    }
  })};
  Recorder first{on, pairs[0].local, Interest::readable};
  Recorder second{on, pairs[1].local, Interest::readable};
  for (const Pair& pair : pairs) write_bytes(pair.peer, "abc");
  for (Recorder* recorder : {&first, &second}) {
    recorder->ignore(Event::readable);  // true at the time of the wait
    EXPECT_TRUE(delivers(*recorder, "error hangup", std::errc::connection_reset));
  }
}

TEST_P(TheErrorIsFetchedOnce, AndTheBytesBeforeItSurvivePausingAndResuming) {
  before_and_after(Interest::readable | Interest::writable, reset_by_peer,
                   [&](Pair&, Recorder& local) {
                     local.watch.set_interest(Interest::none);
                     local.watch.set_interest(Interest::readable);
                     EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
                   });
}

TEST_P(TheErrorIsFetchedOnce, UnlessTheOwnersReadTookItFirst) {
  const History read_it = [](Pair& pair) {
    reset_by_peer(pair);
    EXPECT_EQ(read_bytes(pair.local), read_of_a_reset());
  };
  const Story without_code = [](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, end_of_a_taken_failure()));
  };
  before_and_after(Interest::readable, read_it, without_code);
  before_and_after(Interest::readable | Interest::writable, read_it, without_code);
  while_paused(read_it, without_code);
}

TEST_P(TheErrorIsFetchedOnce, UnlessTheOwnersLookAtSoErrorTookItFirst) {
  const History look_at_it = [](Pair& pair) {
    reset_by_peer(pair);
    const int pending = pending_error(pair.local);
    if (system_facts().failure_is_taken) {
      EXPECT_EQ(pending, ECONNRESET);
    }
  };
  const Story without_code = [](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, end_of_a_taken_failure()));
  };
  before_and_after(Interest::readable, look_at_it, without_code);
  while_paused(look_at_it, without_code);
}

TEST_P(TheErrorIsFetchedOnce, UnlessAHandlerThatReadsToTheEndTookItFirst) {
  before_and_after(Interest::readable, bytes_and_reset, [&](Pair& pair, Recorder& local) {
    local.on_event([&](const StreamEvent& event) {
      if (!event.readable()) return;
      long last = 0;
      EXPECT_EQ(drain(pair.local, &last), 3u);
      EXPECT_EQ(last, read_of_a_reset());
    });
    EXPECT_TRUE(delivers(local, std::string{"readable "}.append(end_of_a_taken_failure())));
  });
}

TEST_P(TheErrorIsFetchedOnce, AlsoOfManyConnectionsThatFailInOneTurn) {
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Recorder>> locals;
  for (int i = 0; i < 8; ++i) {
    pairs.push_back(make_pair(kind()));
    locals.push_back(std::make_unique<Recorder>(reactor(), pairs.back().local, Interest::readable));
  }
  for (Pair& pair : pairs) reset_by_peer(pair);
  for (const auto& local : locals)
    EXPECT_TRUE(delivers(*local, "error hangup", std::errc::connection_reset));
}

TEST_P(TheErrorIsFetchedOnce, AndIsDeliveredByTheNextTurnIfAHandlerThrewBeforeIt) {
  Pair one = make_pair(kind());
  Pair other = make_pair(kind());
  Recorder first{reactor(), one.local, Interest::readable};
  Recorder second{reactor(), other.local, Interest::readable};
  for (Recorder* recorder : {&first, &second}) {
    recorder->on_event([](const StreamEvent&) { throw std::runtime_error{"a handler's own"}; });
  }
  reset_by_peer(one);
  reset_by_peer(other);
  EXPECT_THROW(reactor().run_for(std::chrono::seconds{5}), std::runtime_error);
  EXPECT_THROW(reactor().run_for(std::chrono::seconds{5}), std::runtime_error);
  EXPECT_TRUE(delivers(first, "error hangup", std::errc::connection_reset));
  EXPECT_TRUE(delivers(second, "error hangup", std::errc::connection_reset));
}

TEST_P(TheErrorIsFetchedOnce, AndIsDeliveredByTheNextTurnIfAHandlerStoppedTheLoopBeforeIt) {
  Pair one = make_pair(kind());
  Pair other = make_pair(kind());
  Recorder first{reactor(), one.local, Interest::readable};
  Recorder second{reactor(), other.local, Interest::readable};
  for (Recorder* recorder : {&first, &second})
    recorder->on_event([&](const StreamEvent&) { reactor().stop(); });
  reset_by_peer(one);
  reset_by_peer(other);
  EXPECT_EQ(reactor().run_for(std::chrono::seconds{5}), 1u);
  EXPECT_EQ(reactor().run_for(std::chrono::seconds{5}), 1u);
  EXPECT_TRUE(delivers(first, "error hangup", std::errc::connection_reset));
  EXPECT_TRUE(delivers(second, "error hangup", std::errc::connection_reset));
}

TEST_P(TheErrorIsFetchedOnce, AndIsLeftToTheOwnerOfAWatchThatEndsBeforeItIsDelivered) {
  Pair pairs[] = {make_pair(kind()), make_pair(kind())};
  Recorder first{reactor(), pairs[0].local, Interest::readable};
  Recorder second{reactor(), pairs[1].local, Interest::readable};
  long read = 0;
  first.on_event([&](const StreamEvent&) {
    second.watch.reset();
    read = read_bytes(pairs[1].local);
  });
  second.on_event([&](const StreamEvent&) {
    first.watch.reset();
    read = read_bytes(pairs[0].local);
  });
  for (Pair& pair : pairs) reset_by_peer(pair);
  EXPECT_EQ(reactor().run_once(std::chrono::seconds{5}), 1u);
  EXPECT_EQ(read, read_of_a_reset());
  settle(reactor());
  EXPECT_EQ(first.events().size() + second.events().size(), 1u);
}

POLLUX_ON_EACH_KIND(TheErrorIsFetchedOnce, sockets);

class TheErrorOfTcpIsFetchedOnce : public OnEachKind {};

TEST_P(TheErrorOfTcpIsFetchedOnce, UnlessTheOwnersWriteTookItFirst) {
  const History write_it = [](Pair& pair) {
    reset_by_peer(pair);
    EXPECT_EQ(write_bytes(pair.local, "x"), -ECONNRESET);
  };
  const Story without_code = [](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers(local, end_of_a_taken_failure()));
  };
  before_and_after(Interest::readable, write_it, without_code);
  while_paused(write_it, without_code);
}

TEST_P(TheErrorOfTcpIsFetchedOnce, UnlessAFailedConnectWasAskedForItFirst) {
  for (const Interest interest : {Interest::none, Interest::readable, Interest::writable}) {
    const Handle socket = start_refused_connect(kind());
    EXPECT_EQ(pending_error(socket), ECONNREFUSED);
    Recorder local{reactor(), socket, interest};
    EXPECT_TRUE(delivers(local, end_of_a_taken_failure()));
  }
}

POLLUX_ON_EACH_KIND(TheErrorOfTcpIsFetchedOnce, tcp);

}  // namespace
}  // namespace pollux::conformance
