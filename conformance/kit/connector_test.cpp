// SPDX-License-Identifier: MIT
// pollux::Connector and pollux::Resolver. Goal: each way in which connecting succeeds, fails and is
// given up, at one address and at several, and names by resolvers of the tests' and the system's.
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/connector.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// Longer than any test.
constexpr std::chrono::hours never{1};

Address address_of(const Handle& socket) {
  return BoundAddress{socket}.address();
}

/// What a connector has called its handler with.
struct Outcome {
  Outcome() = default;
  Outcome(Outcome&&) = delete;

  ConnectHandler handler() {
    return [this](std::error_code with, Stream made) {
      ++calls;
      error = with;
      stream = std::move(made);
    };
  }

  int calls = 0;
  std::error_code error;
  Stream stream;
};

/// Where nobody listens, and nobody else will for as long as this lives.
class Deserted {
 public:
  explicit Deserted(PairKind kind) {
    if (is_tcp(kind)) {
      // The port of a socket that is connected.
      held_ = make_pair(kind);
      address_ = address_of(held_.peer);
    } else {
      address_ = address_of(make_listener(kind));  // that has gone
    }
  }
  const Address& address() const noexcept { return address_; }

 private:
  Pair held_;
  Address address_;
};

/// A resolver that knows nothing until the test says so.
class SlowResolver final : public Resolver {
 public:
  std::vector<PendingLookup> lookups;

 protected:
  void start(Reactor&, PendingLookup lookup) override { lookups.push_back(std::move(lookup)); }
};

class ConnectorTest : public OnEachKind {
 protected:
  /// Whether it has come to something, once.
  testing::AssertionResult ends(Outcome& outcome) {
    run_until(reactor(), [&] { return outcome.calls != 0; });
    settle(reactor());
    if (outcome.calls == 1) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "called " << outcome.calls << " times";
  }
  testing::AssertionResult succeeds(Outcome& outcome) {
    if (const auto ended = ends(outcome); !ended) return ended;
    if (!outcome.error && outcome.stream) return testing::AssertionSuccess();
    return testing::AssertionFailure() << outcome.error.message();
  }
  template <class Error>
  testing::AssertionResult fails(Outcome& outcome, Error error) {
    if (const auto ended = ends(outcome); !ended) return ended;
    if (outcome.error == error && !outcome.stream) return testing::AssertionSuccess();
    return testing::AssertionFailure() << outcome.error.message();
  }
  /// Whether the stream leads to who is accepted there, both ways.
  testing::AssertionResult leads_to(const Handle& listener, Stream& stream) {
    const Handle server = accept_one(listener);
    std::string got, answer;
    stream.on_data([&](Bytes bytes) { answer += as_text(bytes); });
    stream.write("ping");
    settle(reactor());
    if (await(server, Await::readable, 5s)) read_onto(got, server);
    write_bytes(server, "pong");
    run_until(reactor(), [&] { return answer == "pong"; });
    stream.abort();
    if (got == "ping" && answer == "pong") return testing::AssertionSuccess();
    return testing::AssertionFailure() << got << ", " << answer;
  }
};

// One address.

class Connectors : public ConnectorTest {};

TEST_P(Connectors, HandTheStreamOver) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  Connector connector{reactor(), address_of(listener), outcome.handler()};
  EXPECT_TRUE(connector);
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_FALSE(connector);
  EXPECT_TRUE(leads_to(listener, outcome.stream));
}

TEST_P(Connectors, AreRefusedWhereNobodyListens) {
  const Deserted deserted{kind()};
  Outcome outcome;
  const Connector connector{reactor(), deserted.address(), outcome.handler()};
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_TRUE(fails(outcome, std::errc::connection_refused));
  EXPECT_FALSE(connector);
  EXPECT_TRUE(sleeps());
}

TEST_P(Connectors, HandOverWhatAPeerHasSaidThatHasGone) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  const Connector connector{reactor(), address_of(listener), outcome.handler()};
  Handle server = accept_one(listener);
  write_bytes(server, "bye");
  server.close();
  EXPECT_TRUE(succeeds(outcome));
  std::string story;
  outcome.stream.on_data([&](Bytes bytes) { story += as_text(bytes); });
  outcome.stream.on_event([&](const StreamEvent& event) { story += to_string(event.events()); });
  const std::string expected = is_tcp(kind()) ? "byeend_of_stream" : "byeend_of_stream hangup";
  EXPECT_TRUE(run_until(reactor(), [&] { return story == expected; })) << story;
}

TEST_P(Connectors, TryNextWhatComesBehindOneThatIsRefused) {
  const Deserted deserted{kind()};
  const Handle listener = make_listener(kind());
  const std::vector<Address> addresses{deserted.address(), deserted.address(),
                                       address_of(listener)};
  Outcome outcome;
  const Connector connector{reactor(), addresses, outcome.handler(), {.attempt_delay = never}};
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(leads_to(listener, outcome.stream));
}

TEST_P(Connectors, ReportThatAllWereRefused) {
  const Deserted deserted{kind()};
  const std::vector<Address> addresses(3, deserted.address());
  Outcome outcome;
  const Connector connector{reactor(), addresses, outcome.handler(), {.attempt_delay = never}};
  EXPECT_TRUE(fails(outcome, std::errc::connection_refused));
}

TEST_P(Connectors, ReportThatThereIsNoAddress) {
  Outcome outcome;
  const Connector connector{reactor(), std::span<const Address>{}, outcome.handler()};
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_TRUE(fails(outcome, std::errc::invalid_argument));
  Outcome of_none;
  const Connector to_none{reactor(), Address{}, of_none.handler()};
  EXPECT_TRUE(fails(of_none, std::errc::invalid_argument));
}

TEST_P(Connectors, ReportWhatAStreamRefuses) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  const Connector connector{reactor(),
                            address_of(listener),
                            outcome.handler(),
                            {.stream = {.write_high_water = 1, .write_low_water = 2}}};
  EXPECT_TRUE(fails(outcome, std::errc::invalid_argument));
  const Handle server = accept_one(listener);
  EXPECT_TRUE(await_close(kind(), server, 5s));
}

TEST_P(Connectors, ReportThatThereAreNoDescriptors) {
  if (!can_limit_descriptors()) return RecordProperty("not_played", "no such limit here");
  const Handle listener = make_listener(kind());
  const Deserted deserted{kind()};
  const std::vector<Address> addresses{deserted.address(), address_of(listener)};
  Outcome outcome;
  const NoDescriptorLeft none;
  const Connector connector{reactor(), addresses, outcome.handler()};
  EXPECT_TRUE(fails(outcome, std::errc::too_many_files_open));
}

TEST_P(Connectors, CloseWhatNobodyKeeps) {
  const Handle listener = make_listener(kind());
  int calls = 0;
  const Connector connector{reactor(), address_of(listener),
                            [&](std::error_code, const Stream&) { ++calls; }};
  Handle server = accept_one(listener);
  EXPECT_TRUE(run_until(reactor(), [&] { return calls == 1; }));
  EXPECT_TRUE(await_close(kind(), server, 5s));
  server.close();
  reactor().run();
  EXPECT_EQ(calls, 1);
}

TEST_P(Connectors, MayBeDestroyedByTheirHandlers) {
  const Deserted deserted{kind()};
  const Handle listener = make_listener(kind());
  for (const Address& address : {deserted.address(), address_of(listener)}) {
    std::optional<Connector> connector;
    const auto capture = std::make_shared<int>(1);
    connector.emplace(reactor(), address, [&connector, capture](std::error_code, Stream) {
      connector.reset();
      EXPECT_EQ(*capture, 1);  // still there
    });
    EXPECT_TRUE(run_until(reactor(), [&] { return !connector.has_value(); }));
    if (address != deserted.address()) accept_one(listener).close();
    reactor().run();
    EXPECT_EQ(capture.use_count(), 1);
  }
}

TEST_P(Connectors, AreHarmlessWhenTheirHandlerCancelsThem) {
  const Deserted deserted{kind()};
  Connector connector;
  int calls = 0;
  connector = Connector{reactor(), deserted.address(), [&](std::error_code, Stream) {
                          ++calls;
                          connector.cancel();
                        }};
  EXPECT_TRUE(run_until(reactor(), [&] { return calls == 1; }));
  connector.cancel();
  EXPECT_EQ(reactor().run(), 0U);
}

TEST_P(Connectors, CallNobodyOnceTheyAreCancelled) {
  const Handle listener = make_listener(kind());
  const Deserted deserted{kind()};
  for (const Address& address : {deserted.address(), address_of(listener)}) {
    Outcome outcome;
    Connector connector{reactor(), address, outcome.handler()};
    connector.cancel();
    EXPECT_FALSE(connector);
    { const Connector destroyed{reactor(), address, outcome.handler()}; }
    Connector replaced{reactor(), address, outcome.handler()};
    replaced = Connector{};
    EXPECT_EQ(reactor().run(), 0U);  // nothing is left
    EXPECT_EQ(outcome.calls, 0);
  }
}

TEST_P(Connectors, LeaveAResetToAServerThatHasAccepted) {
  if (!is_tcp(kind())) return;  // the only one that has resets
  const Handle listener = make_listener(kind());
  Outcome outcome;
  Connector connector{reactor(), address_of(listener), outcome.handler()};
  const Handle server = accept_one(listener);  // the loop has not run
  connector.cancel();
  EXPECT_TRUE(await(server, Await::readable, 5s));
  EXPECT_TRUE(shows_a_reset(server, read_bytes(server)));
}

TEST_P(Connectors, MayBeMovedMeanwhile) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  Connector first{reactor(), address_of(listener), outcome.handler()};
  Connector second = std::move(first);
  EXPECT_FALSE(first);
  first = std::move(second);
  EXPECT_TRUE(first);
  EXPECT_TRUE(succeeds(outcome));
}

TEST_P(Connectors, NeedNotBeKeptOnceTheyAreDetached) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  const auto capture = std::make_shared<int>();
  Connector{reactor(), address_of(listener),
            [&outcome, capture](std::error_code error, Stream stream) {
              ++outcome.calls;
              outcome.error = error;
              outcome.stream = std::move(stream);
            }}
      .detach();
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_EQ(capture.use_count(), 1);
}

TEST_P(Connectors, EndWithTheirReactorIfTheyAreDetached) {
  const Handle listener = make_listener(kind());
  const auto capture = std::make_shared<int>();
  {
    Reactor other{make_contestant(backend())};
    Connector{other, address_of(listener), [capture](std::error_code, Stream) { FAIL(); }}.detach();
    EXPECT_EQ(capture.use_count(), 2);
  }
  EXPECT_EQ(capture.use_count(), 1);
}

TEST_P(Connectors, OutliveTheirReactor) {
  const Handle listener = make_listener(kind());
  std::optional<Reactor> other{std::in_place, make_contestant(backend())};
  Connector connector{*other, address_of(listener), [](std::error_code, Stream) { FAIL(); }};
  Connector left{*other, address_of(listener), [](std::error_code, Stream) { FAIL(); }};
  other.reset();
  connector.cancel();
}

POLLUX_ON_EACH_KIND(Connectors, sockets);

// Hosts that do not answer, and ports.

class TcpConnectors : public ConnectorTest {
 protected:
  /// Who takes no packet.
  Handle make_silent_listener() {
    Handle silent = make_listener(kind());
    play_dead(silent);
    return silent;
  }
  static bool has_closed_all(Connector& connector) {
    const std::size_t before = open_descriptors();
    connector.cancel();
    return open_descriptors() == before;
  }
};

TEST_P(TcpConnectors, TryTheNextAddressBesideOneThatIsSilent) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  const Handle silent = make_silent_listener();
  const Handle listener = make_listener(kind());
  const std::vector<Address> addresses{address_of(silent), address_of(silent),
                                       address_of(listener)};
  Outcome outcome;
  Connector connector{reactor(), addresses, outcome.handler(), {.attempt_delay = 10ms}};
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(has_closed_all(connector));
  EXPECT_TRUE(leads_to(listener, outcome.stream));
}

TEST_P(TcpConnectors, LeaveASilentHostItsTimeBeforeTheyTryTheNext) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  const Handle silent = make_silent_listener();
  const Handle listener = make_listener(kind());
  const std::vector<Address> addresses{address_of(silent), address_of(listener)};
  Outcome outcome;
  Connector connector{reactor(), addresses, outcome.handler(), {.attempt_delay = never}};
  EXPECT_TRUE(sleeps());
  EXPECT_FALSE(await(listener, Await::readable, 0ms));
  EXPECT_EQ(outcome.calls, 0);
  const std::size_t before = open_descriptors();
  connector.cancel();
  EXPECT_EQ(open_descriptors(), before - 1);
  EXPECT_EQ(reactor().run(), 0U);
}

TEST_P(TcpConnectors, TakeTheFirstThatAnswersWhateverWasBegunMeanwhile) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  const Handle slow = make_silent_listener();
  const Handle silent = make_silent_listener();
  const Deserted deserted{kind()};
  const std::vector<Address> addresses{address_of(slow), deserted.address(), address_of(silent)};
  Outcome outcome;
  const Connector connector{
      reactor(), addresses, outcome.handler(), {.timeout = never, .attempt_delay = 10ms}};
  reactor().run_for(50ms);
  EXPECT_EQ(outcome.calls, 0);
  come_alive(slow);  // for the packet that is sent again
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(leads_to(slow, outcome.stream));
}

TEST_P(TcpConnectors, EndAtTheirDeadline) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  const Handle silent = make_silent_listener();
  const Deserted deserted{kind()};
  const std::vector<Address> addresses{deserted.address(), address_of(silent), address_of(silent)};
  Outcome outcome;
  Connector connector{
      reactor(), addresses, outcome.handler(), {.timeout = 30ms, .attempt_delay = 10ms}};
  EXPECT_TRUE(fails(outcome, std::errc::timed_out));
  EXPECT_TRUE(has_closed_all(connector));
  EXPECT_EQ(reactor().run(), 0U);
}

TEST_P(TcpConnectors, TryTheNextAtOnceWhenOneFailsBesideASilentOne) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  static std::chrono::nanoseconds ahead{0};
  use({.clock = [] { return std::chrono::steady_clock::now() + ahead; }});
  const Handle silent = make_silent_listener();
  const Deserted deserted{kind()};
  const Handle listener = make_listener(kind());
  const std::vector<Address> addresses{address_of(silent), deserted.address(),
                                       address_of(listener)};
  Outcome outcome;
  const Connector connector{
      reactor(), addresses, outcome.handler(), {.timeout = 0s, .attempt_delay = never}};
  settle(reactor());
  ahead += never;  // for the second address; no such time passes before the third
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(leads_to(listener, outcome.stream));
}

TEST_P(TcpConnectors, DoNotFindThemselves) {
  Handle listener = make_listener(kind());
  const BoundAddress own{listener};
  listener.close();
  Outcome outcome;
  const Connector connector{reactor(), own.address(), outcome.handler(), {.local = own.address()}};
  EXPECT_TRUE(fails(outcome, std::errc::connection_refused));
  EXPECT_TRUE(own.is_free());  // for who wants to listen there
}

TEST_P(TcpConnectors, ComeFromWhereTheyAreTo) {
  const Handle listener = make_listener(kind());
  const Address local = address_of(make_listener(kind()));
  Outcome outcome;
  const Connector connector{reactor(), address_of(listener), outcome.handler(), {.local = local}};
  EXPECT_TRUE(succeeds(outcome));
  Handle own{outcome.stream.native_handle()};
  EXPECT_EQ(address_of(own), local);
  own.release();
  outcome.stream.abort();
}

TEST_P(TcpConnectors, TryNoAddressOfAnotherFamilyThanTheirOwn) {
  const Handle listener = make_listener(kind());
  const Address other{kind() == PairKind::tcp4 ? "[::1]:0" : "127.0.0.1:0"};
  Outcome outcome;
  const Connector connector{reactor(), address_of(listener), outcome.handler(), {.local = other}};
  EXPECT_TRUE(fails(outcome, std::errc::address_family_not_supported));
}

TEST_P(TcpConnectors, ReportWhatAHostHasSaidRatherThanThatNoneWasReached) {
  const Deserted deserted{kind()};
  const Address other{kind() == PairKind::tcp4 ? "[::1]:9" : "127.0.0.1:9"};
  const Address any{kind() == PairKind::tcp4 ? "127.0.0.1:0" : "[::1]:0"};
  for (const std::vector<Address>& addresses :
       {std::vector{other, deserted.address()}, std::vector{deserted.address(), other}}) {
    Outcome outcome;
    const Connector connector{reactor(), addresses, outcome.handler(), {.local = any}};
    EXPECT_TRUE(fails(outcome, std::errc::connection_refused));
  }
}

POLLUX_ON_EACH_KIND(TcpConnectors, tcp);

class UnixConnectors : public ConnectorTest {};

TEST_P(UnixConnectors, WaitForRoomAtAListener) {
  const Handle listener = make_listener(kind(), Protocol::usual, 0);
  Outcome first, second;
  const Connector taken{reactor(), address_of(listener), first.handler()};
  EXPECT_TRUE(succeeds(first));
  const Connector crowded{reactor(), address_of(listener), second.handler()};
  reactor().run_for(10ms);
  if (second.error == std::errc::connection_refused)
    return RecordProperty("not_played", "a listener without room refuses here");
  EXPECT_EQ(second.calls, 0);
  EXPECT_TRUE(leads_to(listener, first.stream));
  EXPECT_TRUE(succeeds(second));
  EXPECT_TRUE(leads_to(listener, second.stream));
}

TEST_P(UnixConnectors, WaitForRoomUntilTheirDeadline) {
  const Handle listener = make_listener(kind(), Protocol::usual, 0);
  Outcome first, second;
  const Connector taken{reactor(), address_of(listener), first.handler()};
  EXPECT_TRUE(succeeds(first));
  const Connector crowded{reactor(), address_of(listener), second.handler(), {.timeout = 20ms}};
  EXPECT_TRUE(ends(second));
  if (second.error == std::errc::connection_refused)
    return RecordProperty("not_played", "a listener without room refuses here");
  EXPECT_EQ(second.error, std::errc::timed_out);
}

TEST_P(UnixConnectors, ReportThatThereIsNoSuchName) {
  Outcome outcome;
  const Connector connector{reactor(), Address{"unix:/no/such/name"}, outcome.handler()};
  EXPECT_TRUE(fails(outcome, std::errc::no_such_file_or_directory));
}

POLLUX_ON_EACH_KIND(UnixConnectors, unix_streams);

// Names.

class NamedConnectors : public ConnectorTest {
 protected:
  Connector connect(Outcome& outcome, const ConnectOptions& options = {}) {
    return Connector{reactor(), slow, "a.host", 1, outcome.handler(), options};
  }

  SlowResolver slow;
};

TEST_P(NamedConnectors, ConnectToWhatTheResolverFinds) {
  const Deserted deserted{kind()};
  const Handle listener = make_listener(kind());
  Outcome outcome;
  Connector connector = connect(outcome);
  EXPECT_EQ(slow.lookups[0].host(), "a.host");
  EXPECT_EQ(slow.lookups[0].port(), 1);
  EXPECT_TRUE(slow.lookups[0].is_wanted());
  EXPECT_TRUE(sleeps());
  EXPECT_TRUE(slow.lookups[0].answer({{}, {deserted.address(), address_of(listener)}}));
  EXPECT_TRUE(slow.lookups[0].answer({{}, {}}));  // too late
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_TRUE(leads_to(listener, outcome.stream));
}

TEST_P(NamedConnectors, AreAnsweredByOtherThreads) {
  const Handle listener = make_listener(kind());
  Outcome outcome;
  Connector connector = connect(outcome);
  std::optional<Thread> thread;
  thread.emplace([lookup = std::move(slow.lookups[0]), address = address_of(listener)]() mutable {
    EXPECT_TRUE(lookup.answer({{}, {address}}));
  });
  slow.lookups.clear();
  EXPECT_TRUE(succeeds(outcome));
}

TEST_P(NamedConnectors, ReportWhatTheResolverReports) {
  Outcome none, error, dropped;
  Connector first = connect(none), second = connect(error), third = connect(dropped);
  slow.lookups[0].answer({});
  slow.lookups[1].answer({make_error_code(std::errc::permission_denied), {}});
  EXPECT_EQ(none.calls + error.calls, 0);
  slow.lookups.clear();
  EXPECT_TRUE(fails(none, Errc::host_not_found));
  EXPECT_TRUE(fails(error, std::errc::permission_denied));
  EXPECT_TRUE(fails(dropped, std::errc::operation_canceled));
}

TEST_P(NamedConnectors, LeaveTheLookupWhenTheyEnd) {
  Outcome outcome;
  Connector connector = connect(outcome);
  connector.cancel();
  EXPECT_FALSE(slow.lookups[0].is_wanted());
  EXPECT_EQ(reactor().run(), 0U);  // although the resolver still has it
  EXPECT_TRUE(slow.lookups[0].answer({}));
  EXPECT_EQ(reactor().run(), 0U);
  // Answered, and not delivered yet.
  Connector answered = connect(outcome);
  slow.lookups[1].answer({});
  answered.cancel();
  reactor().run();
  EXPECT_EQ(outcome.calls, 0);
}

TEST_P(NamedConnectors, EndAtTheirDeadlineWithoutAnAnswer) {
  Outcome outcome;
  Connector connector = connect(outcome, {.timeout = 10ms});
  EXPECT_TRUE(fails(outcome, std::errc::timed_out));
  EXPECT_FALSE(slow.lookups[0].is_wanted());
}

TEST_P(NamedConnectors, OutliveTheirReactorAndTheirResolver) {
  std::optional<SlowResolver> resolver{std::in_place};
  std::optional<Reactor> other{std::in_place, make_contestant(backend())};
  const auto fails = [](std::error_code, Stream) { FAIL(); };
  Connector first{*other, *resolver, "a.host", 1, fails};
  Connector second{*other, *resolver, "a.host", 1, fails};
  resolver->lookups[0].answer({});
  other.reset();
  EXPECT_TRUE(resolver->lookups[1].answer({}));
  resolver.reset();
  first.cancel();
}

TEST_P(NamedConnectors, RefuseWhatIsNoName) {
  for (const std::string_view name : {std::string_view{}, std::string_view{"a\0b", 3}}) {
    std::error_code error;
    const Connector connector{reactor(), slow, name, 1, [](std::error_code, Stream) { FAIL(); },
                              {},        error};
    EXPECT_EQ(error, std::errc::invalid_argument);
    EXPECT_FALSE(connector);
  }
  EXPECT_TRUE(slow.lookups.empty());
  EXPECT_EQ(reactor().run(), 0U);
}

POLLUX_ON_EACH_KIND(NamedConnectors, sockets);

/// On IPv4.
constexpr PairKind ipv4[] = {PairKind::tcp4};

class SystemNames : public ConnectorTest {
 protected:
  std::uint16_t listens_at(const Handle& listener) { return address_of(listener).port(); }
};

TEST_P(SystemNames, AreResolved) {
  const Handle listener = make_listener(kind());
  SystemResolver resolver;
  for (const char* name : {"localhost", "127.0.0.1"}) {
    Outcome outcome;
    const Connector connector{reactor(), resolver, name, listens_at(listener), outcome.handler()};
    EXPECT_EQ(outcome.calls, 0);
    EXPECT_TRUE(succeeds(outcome)) << name;
    EXPECT_TRUE(leads_to(listener, outcome.stream));
  }
}

TEST_P(SystemNames, AreErrorsIfThereAreNoSuch) {
  // A label has up to 63 characters: no server is asked for this.
  const std::string name(64, 'a');
  SystemResolver resolver;
  Outcome outcome;
  const Connector connector{reactor(), resolver, name, 1, outcome.handler()};
  EXPECT_TRUE(fails(outcome, Errc::host_not_found));
  EXPECT_EQ(outcome.error, std::errc::no_such_device_or_address);
}

TEST_P(SystemNames, AreAnsweredOnceAlsoIfTheResolverGoes) {
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    std::array<int, 5> answers{};
    std::vector<Lookup> lookups;
    int last = 0;
    {
      SystemResolver resolver;
      for (int& count : answers)
        lookups.push_back(
            resolver.resolve(reactor(), "localhost", 1, [&count](const Resolved& resolved) {
              ++count;
              EXPECT_TRUE(!resolved.error || resolved.error == std::errc::operation_canceled)
                  << resolved.error.message();
            }));
      if (i % 2 == 0) run_until(reactor(), [&] { return answers[0] != 0; });
      lookups.pop_back();  // nobody wants to know any more
      last = answers[4];
    }
    reactor().run();
    EXPECT_EQ(answers, (std::array{1, 1, 1, 1, last}));
  }
  // A thread that was left behind may still have a file of the system's open.
  for (int i = 0; i < 5000 && open_descriptors() > before; ++i) reactor().run_for(1ms);
}

TEST_P(SystemNames, AreResolvedInAChildOfAFork) {
  if (!can_fork()) return RecordProperty("not_played", "no fork here");
  SystemResolver resolver;
  const auto resolves = [&] {
    std::optional<Resolved> answer;
    const Lookup lookup = resolver.resolve(reactor(), "localhost", 1,
                                           [&](const Resolved& resolved) { answer = resolved; });
    run_until(reactor(), [&] { return answer.has_value(); });
    return answer.has_value() && !answer->error;
  };
  EXPECT_TRUE(resolves());
  EXPECT_TRUE(run_forked([&] {
    reactor().after_fork();
    return resolves();
  }));
}

POLLUX_ON_EACH_KIND(SystemNames, ipv4);

}  // namespace
}  // namespace pollux::conformance
