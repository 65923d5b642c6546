// SPDX-License-Identifier: MIT
// Rule 14: what a kernel cannot watch is refused alike, and so is all other bad input: the same
// std::error_code from every backend, by the overload that takes one and by the one that throws;
// and refused means that nothing has changed. Goal: one test for each kind of bad input.
#include <cerrno>
#include <climits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

Handle open_file(const char* path, int flags) {
  return Handle{::open(path, flags | O_CLOEXEC)};
}

/// What the kernel says, and what is refused in its stead says too.
std::error_code from_system(int error) {
  return {error, std::system_category()};
}

constexpr Interest every_interest[] = {Interest::none, Interest::readable, Interest::writable,
                                       Interest::readable | Interest::writable};

class Refused : public OnEachBackend {
 protected:
  template <class Error>
  void expect_watch_refused(NativeHandle handle, Error expected) {
    for (const Interest interest : every_interest) {
      SCOPED_TRACE("watch, interest " + to_string(interest));
      const auto capture = std::make_shared<int>();
      std::error_code error;
      const Watch watch = reactor().watch(
          handle, interest, [capture](Readiness) {}, error);
      EXPECT_EQ(error, expected);
      EXPECT_FALSE(watch);
      EXPECT_EQ(capture.use_count(), 1) << "the handler of a refused watch was kept";
      try {
        const Watch thrown = reactor().watch(handle, interest, [](Readiness) {});
        ADD_FAILURE() << "not refused";
      } catch (const std::system_error& refusal) {
        EXPECT_EQ(refusal.code(), error);
      }
    }
  }

  template <class Error>
  void expect_stream_refused(NativeHandle handle, Error expected) {
    for (const Interest interest : every_interest) {
      SCOPED_TRACE("watch_stream, interest " + to_string(interest));
      const auto capture = std::make_shared<int>();
      std::error_code error;
      const StreamWatch watch = reactor().watch_stream(
          handle, interest, [capture](const StreamEvent&) {}, error);
      EXPECT_EQ(error, expected);
      EXPECT_FALSE(watch);
      EXPECT_EQ(capture.use_count(), 1) << "the handler of a refused watch was kept";
      try {
        const StreamWatch thrown =
            reactor().watch_stream(handle, interest, [](const StreamEvent&) {});
        ADD_FAILURE() << "not refused";
      } catch (const std::system_error& refusal) {
        EXPECT_EQ(refusal.code(), error);
      }
    }
  }

  template <class Error>
  void expect_refused(NativeHandle handle, Error expected) {
    expect_watch_refused(handle, expected);
    expect_stream_refused(handle, expected);
  }
};

TEST_P(Refused, ARegularFileIsNotPermitted) {
  const RegularFile file;
  expect_refused(file.get(), from_system(EPERM));
}

TEST_P(Refused, ADirectoryIsNotPermitted) {
  const Handle directory = open_file("/", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(directory);
  expect_refused(directory.get(), from_system(EPERM));
}

TEST_P(Refused, ADeviceThatIsAlwaysReadyIsNotPermitted) {
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/urandom"}) {
    SCOPED_TRACE(path);
    const Handle device = open_file(path, O_RDWR);
    ASSERT_TRUE(device);
    expect_refused(device.get(), from_system(EPERM));
  }
}

TEST_P(Refused, ANegativeDescriptorIsBad) {
  for (const NativeHandle handle : {-1, -2, INT_MIN}) {
    SCOPED_TRACE(handle);
    expect_refused(handle, from_system(EBADF));
  }
}

TEST_P(Refused, AHugeDescriptorIsBadAndCostsNoMemory) {
  rusage before{};
  rusage after{};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &before), 0);
  for (const NativeHandle handle : {1 << 20, INT_MAX}) {
    SCOPED_TRACE(handle);
    expect_refused(handle, from_system(EBADF));
  }
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &after), 0);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100'000) << "kilobytes";
}

TEST_P(Refused, AClosedDescriptorIsBad) {
  Pair pair = make_pair(PairKind::unix_stream);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  expect_refused(number, from_system(EBADF));
  EXPECT_TRUE(sleeps());
}

TEST_P(Refused, ASecondWatchOnAWatchedDescriptorAlreadyExists) {
  for (const PairKind kind : streams) {
    SCOPED_TRACE(to_string(kind));
    const Pair pair = make_pair(kind);
    {
      Recorder local{reactor(), pair.local, Interest::readable};
      expect_refused(pair.local.get(), from_system(EEXIST));
      write_bytes(pair.peer, "abc");
      EXPECT_TRUE(delivers(local, "readable")) << "the first watch has suffered";
    }
    for (const Interest interest : every_interest) {
      const Watch readiness = reactor().watch(pair.local.get(), interest, [](Readiness) {});
      expect_refused(pair.local.get(), from_system(EEXIST));
    }
    Recorder again{reactor(), pair.local, Interest::readable};
    EXPECT_TRUE(delivers(again, "readable"));
  }
}

TEST_P(Refused, WhatHasNoByteStreamIsNotAStream) {
  std::vector<Named> cases = no_streams_of_this_system();
  cases.push_back({"a listener", make_listener(PairKind::tcp4)});
  cases.push_back({"an AF_UNIX listener", make_listener(PairKind::unix_stream)});
  cases.push_back({"a datagram socket", make_mailbox(PairKind::tcp4)});
  cases.push_back({"an AF_UNIX datagram socket", make_mailbox(PairKind::unix_stream)});
  std::optional<Pair> packets = make_packet_pair();
  if (packets) cases.push_back({"a packet socket", std::move(packets->local)});
  for (const auto& [what, handle] : cases) {
    SCOPED_TRACE(what);
    ASSERT_TRUE(handle);
    expect_stream_refused(handle.get(), Errc::not_a_stream);
    expect_stream_refused(handle.get(), std::errc::invalid_argument);
    const Watch readiness = reactor().watch(handle.get(), Interest::readable, [](Readiness) {});
    EXPECT_TRUE(readiness) << "though it may be watched for readiness";
  }
}

TEST_P(Refused, PeerClosedIsAnInvalidInterestOfAReadinessWatch) {
  const Pair pair = make_pair(PairKind::tcp4);
  for (const Interest interest : every_interest) {
    std::error_code error;
    const Watch watch = reactor().watch(
        pair.local.get(), interest | Interest::peer_closed, [](Readiness) {}, error);
    EXPECT_EQ(error, std::errc::invalid_argument);
    EXPECT_FALSE(watch);
  }
  EXPECT_THROW(
      static_cast<void>(reactor().watch(pair.local.get(), Interest::peer_closed, [](Readiness) {})),
      std::system_error);

  Watch watch = reactor().watch(pair.local.get(), Interest::readable, [](Readiness) {});
  std::error_code error;
  watch.set_interest(Interest::peer_closed, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_THROW(watch.set_interest(Interest::peer_closed), std::system_error);
  EXPECT_EQ(watch.interest(), Interest::readable) << "refused means that nothing has changed";
}

TEST_P(Refused, AnInterestOfAnEmptyWatchIsWatchClosed) {
  StreamWatch stream;
  Watch readiness;
  std::error_code error;
  stream.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  EXPECT_THROW(stream.set_interest(Interest::readable), std::system_error);
  readiness.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::watch_closed);
  EXPECT_FALSE(stream);
  EXPECT_EQ(stream.interest(), Interest::none);
  stream.reset();
}

TEST_P(Refused, IsAnInterestThatMakesNoSense) {
  const Pair pair = make_pair(PairKind::unix_stream);
  for (const unsigned bits : {64u, 128u, 255u}) {
    const auto unknown = static_cast<Interest>(bits);
    std::error_code error;
    Watch watch = reactor().watch(
        pair.local.get(), unknown, [](Readiness) {}, error);
    EXPECT_EQ(error, std::errc::invalid_argument);
    StreamWatch stream = reactor().watch_stream(
        pair.local.get(), unknown, [](const StreamEvent&) {}, error);
    EXPECT_EQ(error, std::errc::invalid_argument);
    watch = reactor().watch(pair.local.get(), Interest::readable, [](Readiness) {});
    watch.set_interest(unknown, error);
    EXPECT_EQ(error, std::errc::invalid_argument);
    EXPECT_EQ(watch.interest(), Interest::readable);
  }
  std::error_code error;
  const StreamWatch stream = reactor().watch_stream(
      pair.local.get(), Interest::priority, [](const StreamEvent&) {}, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
}

TEST_P(Refused, IsWhatTheSystemSaysOfItWhateverItsType) {
  const std::vector<Named> files = files_of_unclear_type();
  if (files.empty()) RecordProperty("not_played", "a file's type says here what it is");
  for (const auto& [path, handle] : files) {
    SCOPED_TRACE(path);
    std::error_code said;
    identify(handle.get(), said);
    if (said) {
      expect_watch_refused(handle.get(), said);
      continue;
    }
    std::error_code error;
    const Watch watch = reactor().watch(
        handle.get(), Interest::writable, [](Readiness) {}, error);
    EXPECT_FALSE(error) << error.message();
    const StreamWatch stream = reactor().watch_stream(
        handle.get(), Interest::readable, [](const StreamEvent&) {}, error);
    EXPECT_EQ(error, Errc::not_a_stream);
  }
}

POLLUX_ON_EACH_BACKEND(Refused);

class AReactor : public OnEachBackend {};

TEST_P(AReactor, OutlivedByItsWatchesLeavesThemHarmless) {
  Pair pair = make_pair(PairKind::unix_stream);
  Pair other = make_pair(PairKind::unix_stream);
  StreamWatch stream;
  Watch readiness;
  const auto capture = std::make_shared<int>();
  {
    Reactor short_lived{make_contestant(backend())};
    stream = short_lived.watch_stream(pair.local.get(), Interest::readable,
                                      [capture](const StreamEvent&) { FAIL(); });
    readiness =
        short_lived.watch(other.local.get(), Interest::readable, [capture](Readiness) { FAIL(); });
  }
  EXPECT_EQ(capture.use_count(), 1) << "a dead reactor holds on to handlers";
  EXPECT_TRUE(stream);
  EXPECT_EQ(stream.interest(), Interest::none);
  static_cast<void>(stream.peer_closed_latency());
  std::error_code error;
  stream.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  EXPECT_EQ(error, std::errc::operation_canceled);
  readiness.set_interest(Interest::readable, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  EXPECT_THROW(stream.set_interest(Interest::readable), std::system_error);
  EXPECT_EQ(write_bytes(pair.peer, "abc"), 3);
  EXPECT_EQ(read_bytes(pair.local), 3) << "its descriptor was closed";
  stream.reset();
  EXPECT_FALSE(stream);
}

TEST_P(AReactor, WhoseHandlersOwnTheWatchesOfOthersCanBeDestroyed) {
  Pair pairs[] = {make_pair(PairKind::tcp4), make_pair(PairKind::tcp4)};
  Reactor short_lived{make_contestant(backend())};
  auto inner = std::make_shared<StreamWatch>(short_lived.watch_stream(
      pairs[0].local.get(), Interest::readable, [](const StreamEvent&) {}));
  auto itself = std::make_shared<StreamWatch>();
  *itself = short_lived.watch_stream(pairs[1].local.get(), Interest::readable,
                                     [inner, itself](const StreamEvent&) {});
}

TEST_P(AReactor, ThatIsOutOfDescriptorsSaysSoAndLeaksNone) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Descriptors are given out lowest first: no new one fits below the limit.
  const Handle lowest_free{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)};
  rlimit none_left = before;
  none_left.rlim_cur = static_cast<rlim_t>(lowest_free.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  std::error_code error;
  try {
    static_cast<void>(make_contestant(backend()));
  } catch (const std::system_error& refused) {
    error = refused.code();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

TEST_P(AReactor, ThatCouldNotBeMadeAnswersReactorClosed) {
  std::error_code error;
  Reactor unmade{"no such backend", error};
  EXPECT_EQ(error, Errc::unknown_backend);
  const Pair pair = make_pair(PairKind::unix_stream);
  const StreamWatch watch = unmade.watch_stream(
      pair.local.get(), Interest::readable, [](const StreamEvent&) {}, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  unmade.run(error);
  EXPECT_EQ(error, Errc::reactor_closed);
  unmade.poll(error);
  EXPECT_EQ(error, Errc::reactor_closed);
  EXPECT_THROW(unmade.run_for(1s), std::system_error);
  unmade.stop();
  unmade.wake();
  EXPECT_EQ(unmade.backend_name(), "");
  EXPECT_EQ(unmade.backend_reports(), RawReady::none);
}

TEST_P(AReactor, OnAnUnknownBackendIsRefused) {
  for (const std::string_view name : {"no such backend", "EPOLL", "epol", "epoll ", "poll,epoll"}) {
    std::error_code error;
    const Reactor refused{name, error};
    EXPECT_EQ(error, Errc::unknown_backend);
    EXPECT_EQ(error, std::errc::invalid_argument);
    EXPECT_THROW(Reactor{name}, std::system_error);
  }
}

TEST_P(AReactor, OnNoBackendAtAllIsRefused) {
  std::error_code error;
  const Reactor refused{std::unique_ptr<Backend>{}, {}, error};
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_THROW(Reactor{std::unique_ptr<Backend>{}}, std::system_error);
}

TEST_P(AReactor, MadeAndDestroyedLeaksNoDescriptor) {
  for (int i = 0; i < 50; ++i) {
    Reactor short_lived{make_contestant(backend())};
    Pair pair = make_pair(PairKind::tcp4);
    Recorder local{short_lived, pair.local, Interest::readable};
    pair.peer.close();
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  }
}

POLLUX_ON_EACH_BACKEND(AReactor);

class AHandlerThatThrows : public OnEachKind {
 protected:
  struct Thrown : std::runtime_error {
    Thrown() : std::runtime_error{"a handler's own"} {}
  };
  static void throw_it(const StreamEvent&) { throw Thrown{}; }
};

TEST_P(AHandlerThatThrows, ThrowsOutOfEveryWayToRun) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event(throw_it);
  write_bytes(pair.peer, "abc");
  std::error_code error;
  EXPECT_THROW(reactor().run(), Thrown);
  EXPECT_THROW(reactor().run(error), Thrown);
  EXPECT_THROW(reactor().run_once(), Thrown);
  EXPECT_THROW(reactor().run_once(5s, error), Thrown);
  EXPECT_THROW(reactor().run_for(5s), Thrown);
  EXPECT_THROW(reactor().poll(), Thrown);
  EXPECT_EQ(local.events().size(), 6u);
  local.on_event({});
  EXPECT_TRUE(delivers(local, "readable")) << "the reactor is not usable any more";
}

TEST_P(AHandlerThatThrows, LosesNoEventOfAnother) {
  Pair pairs[3] = {make_pair(kind()), make_pair(kind()), make_pair(kind())};
  std::vector<std::unique_ptr<Recorder>> locals;
  for (Pair& pair : pairs) {
    locals.push_back(std::make_unique<Recorder>(reactor(), pair.local, Interest::readable));
    locals.back()->on_event(throw_it);
  }
  for (Pair& pair : pairs) pair.peer.close();
  for (int i = 0; i < 3; ++i) EXPECT_THROW(reactor().run_for(5s), Thrown);
  for (const auto& local : locals)
    EXPECT_TRUE(delivers(*local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
}

TEST_P(AHandlerThatThrows, HasHeardItsEventAllTheSame) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event(throw_it);
  pair.peer.close();
  EXPECT_THROW(reactor().run_for(5s), Thrown);
  EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
  EXPECT_TRUE(sleeps());
}

TEST_P(AHandlerThatThrows, MayHaveEndedItsOwnWatch) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  local.on_event([&](const StreamEvent&) {
    local.watch.reset();
    throw Thrown{};
  });
  write_bytes(pair.peer, "abc");
  EXPECT_THROW(reactor().run_for(5s), Thrown);
  EXPECT_EQ(reactor().poll(), 0u);
  Recorder again{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers(again, "readable"));
}

POLLUX_ON_EACH_KIND(AHandlerThatThrows, streams);

}  // namespace
}  // namespace pollux::conformance
