// SPDX-License-Identifier: MIT
// pollux::Relay: each end sees what it would see of the other without it. Goal: ends in either
// order, resets behind bytes that nobody has read yet, ends that do not read, and relays that end.
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/error.hpp>
#include <pollux/relay.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

/// The remote sides are the ends, `client` and `server`; the relay has the local ones.
class Relays : public OnEachKind {
 protected:
  void SetUp() override {
    OnEachKind::SetUp();
    join();
  }
  /// `waits`: also calls on its sockets.
  void join(bool waits = false) {
    Pair first = make_pair(kind());
    Pair second = make_pair(kind());
    for (const Pair* pair : {&first, &second}) set_blocking(pair->local, waits);
    client = std::move(first.peer);
    server = std::move(second.peer);
    relay = Relay{make_stream(first.local), make_stream(second.local)};
    relay.on_end([this](const RelayEnd& how) { end = how; });
  }
  void TearDown() override {
    relay.abort();
    client.close();
    server.close();
    OnEachKind::TearDown();
  }
  Stream make_stream(Handle& local) {
    return Stream{reactor(), UniqueHandle{local.release()}, options};
  }
  /// What comes at `at` until `size` bytes are there, or the end; what the last read gave goes to
  /// `last`: 0 is the end.
  std::string received_by(const Handle& at, std::size_t size = std::string::npos) {
    std::string got;
    run_until(reactor(), at, [&] {
      while (got.size() < size && (last = read_onto(got, at)) > 0) {
      }
      return got.size() >= size || last != -EAGAIN;
    });
    return got;
  }
  /// Writes until neither the kernel nor the relay takes more; how much.
  std::size_t fill_both(const Handle& from) {
    std::size_t all = 0;
    std::size_t more = 0;
    do {
      more = fill(from);
      all += more;
      settle(reactor());
    } while (more != 0);
    return all;
  }
  bool ends() {
    return run_until(reactor(), [&] { return end.has_value(); });
  }
  /// Of so many bytes, none of which stands where it could be taken for another.
  static std::string numbered(std::size_t bytes) {
    std::string text;
    for (int number = 0; text.size() < bytes; ++number) text += std::to_string(number) + ' ';
    return text;
  }
  /// Both ends send at once, and read what comes.
  void expect_all_to_pass(const std::string& of_client, const std::string& of_server) {
    struct Way {
      Handle& from;
      Handle& to;
      const std::string& all;
      std::size_t sent = 0;
      std::string got;

      void go_on() {
        const long more = write_bytes(from, std::string_view{all}.substr(sent));
        if (more > 0) sent += static_cast<std::size_t>(more);
        while (got.size() < all.size() && read_onto(got, to) > 0) {
        }
      }
      bool is_over() const { return got.size() == all.size(); }
    } ways[]{{client, server, of_client, 0, {}}, {server, client, of_server, 0, {}}};
    EXPECT_TRUE(run_until(reactor(), server, [&] {
      for (Way& way : ways) way.go_on();
      return ways[0].is_over() && ways[1].is_over();
    }));
    for (const Way& way : ways) EXPECT_TRUE(way.got == way.all);
  }

  StreamOptions options{.write_high_water = 4096, .write_low_water = 0};
  Handle client;
  Handle server;
  Relay relay;
  std::optional<RelayEnd> end;
  long last = -EAGAIN;
};

TEST_P(Relays, GiveEachEndWhatTheOtherSends) {
  write_bytes(client, "question");
  EXPECT_EQ(received_by(server, 8), "question");
  write_bytes(server, "answer");
  EXPECT_EQ(received_by(client, 6), "answer");
  EXPECT_EQ(relay.stats(), (RelayStats{8, 6}));
  EXPECT_TRUE(relay);
  EXPECT_TRUE(sleeps());
}

TEST_P(Relays, GoOnInOneDirectionWhenTheOtherHasEnded) {
  for (const bool client_first : {true, false}) {
    if (!client_first) SetUp();
    Handle& first = client_first ? client : server;
    Handle& second = client_first ? server : client;
    write_bytes(first, "all");
    shutdown_write(first);
    EXPECT_EQ(received_by(second), "all");
    EXPECT_EQ(last, 0);
    EXPECT_TRUE(sleeps());
    const std::string much(300'000, 'x');
    std::size_t written = 0;
    std::string got;
    while (got.size() < much.size()) {
      const long count = write_bytes(second, std::string_view{much}.substr(written));
      if (count > 0) written += static_cast<std::size_t>(count);
      const std::size_t before = got.size();
      got += received_by(first, 1);
      ASSERT_GT(got.size(), before);
    }
    EXPECT_EQ(got, much);
    shutdown_write(second);
    EXPECT_EQ(received_by(first), "");
    EXPECT_EQ(last, 0);
    EXPECT_TRUE(ends());
    EXPECT_FALSE(end->error);
    EXPECT_EQ(end->stats.from_first + end->stats.from_second, 300'003U);
    EXPECT_FALSE(relay);
    end.reset();
    if (client_first) TearDown();
  }
}

TEST_P(Relays, EndWhenBothEndsHaveClosed) {
  write_bytes(server, "last words");
  server.close();
  EXPECT_EQ(received_by(client), "last words");
  EXPECT_EQ(last, 0);
  client.close();
  EXPECT_TRUE(ends());
  EXPECT_FALSE(end->error);
  EXPECT_TRUE(sleeps());
}

TEST_P(Relays, HoldWhoSendsBackWhileNobodyReads) {
  const std::size_t sent = fill_both(client);
  EXPECT_TRUE(sleeps());
  shutdown_write(client);
  const std::string got = received_by(server);
  EXPECT_EQ(got.size(), sent);
  EXPECT_EQ(last, 0);
}

TEST_P(Relays, PassOnMuchInBothDirections) {
  expect_all_to_pass(numbered(3'000'000), numbered(2'000'000));
  EXPECT_TRUE(sleeps());
}

TEST_P(Relays, PassOnMuchWithTheUsualMarks) {
  relay.abort();
  options = {};
  join();
  const std::string much = numbered(20'000'000);
  std::size_t sent = 0;
  for (long more = 1; more > 0; settle(reactor())) {
    more = write_bytes(client, std::string_view{much}.substr(sent));
    if (more > 0) sent += static_cast<std::size_t>(more);
  }
  shutdown_write(client);
  EXPECT_TRUE(received_by(server) == much.substr(0, sent));
  EXPECT_EQ(last, 0);
  expect_all_to_pass("", numbered(2'000'000));
}

TEST_P(Relays, PassOnMuchOfSocketsOnWhichCallsWait) {
  relay.abort();
  join(true);
  expect_all_to_pass(numbered(3'000'000), numbered(2'000'000));
}

TEST_P(Relays, PassOnMuchWithoutDescriptors) {
  const NoDescriptorLeft none;
  expect_all_to_pass(numbered(1'000'000), numbered(1'000'000));
}

TEST_P(Relays, PassOnMuchToAnEndThatGoesMeanwhile) {
  const std::string much = numbered(1'000'000);
  const auto sent = static_cast<std::size_t>(write_bytes(client, much));
  EXPECT_EQ(received_by(server, sent).size(), sent);
  write_bytes(client, much);
  server.close();
  ASSERT_TRUE(run_until(reactor(), client, [&] {
    write_bytes(client, much);
    return end.has_value();
  }));
  EXPECT_EQ(end->failed, RelaySide::second);
}

TEST_P(Relays, EndBothWhenTheyClose) {
  write_bytes(client, "question");
  received_by(server, 8);
  relay.close();
  EXPECT_FALSE(relay);
  EXPECT_EQ(received_by(client), "");
  EXPECT_EQ(last, 0);
  EXPECT_EQ(received_by(server), "");
  EXPECT_EQ(last, 0);
  client.close();
  server.close();
  settle(reactor());
  EXPECT_FALSE(end.has_value());
}

TEST_P(Relays, LiveByThemselvesWhenDetached) {
  relay.detach();
  EXPECT_FALSE(relay);
  write_bytes(client, "question");
  EXPECT_EQ(received_by(server, 8), "question");
  client.close();
  server.close();
  EXPECT_TRUE(ends());
}

TEST_P(Relays, MayBeDestroyedByTheirHandler) {
  std::optional<Relay> another{std::move(relay)};
  bool called = false;
  another->on_end([&](const RelayEnd&) {
    another.reset();
    called = true;
  });
  client.close();
  server.close();
  run_until(reactor(), [&] { return called; });
  EXPECT_FALSE(another.has_value());
}

TEST_P(Relays, GoWithTheirReactor) {
  Relay another = std::move(relay);
  use({});
  EXPECT_EQ(received_by(client), "");
  another.close();
  EXPECT_EQ(another.native_handle(RelaySide::first), no_handle);
}

TEST_P(Relays, RefuseAStreamThatIsNotOpen) {
  Pair pair = make_pair(kind());
  std::error_code error;
  const Relay another{make_stream(pair.local), Stream{}, error};
  EXPECT_EQ(error, Errc::stream_closed);
  EXPECT_FALSE(another);
  EXPECT_EQ(received_by(pair.peer), "");
  EXPECT_EQ(last, 0);
}

TEST_P(Relays, TakeOverWhatAStreamHasKept) {
  Pair first = make_pair(kind());
  Pair second = make_pair(kind());
  Stream stream = make_stream(first.local);
  bool called = false;
  stream.on_event([](const StreamEvent&) {});
  stream.on_data([&](Stream& self, Bytes bytes) {
    self.keep(bytes.size());
    self.pause();
    called = true;
  });
  write_bytes(first.peer, "kept");
  run_until(reactor(), [&] { return called; });
  shutdown_write(first.peer);
  settle(reactor());
  pollux::relay(std::move(stream), make_stream(second.local));
  EXPECT_EQ(received_by(second.peer), "kept");
  EXPECT_EQ(last, 0);
  first.peer.close();
  second.peer.close();
  settle(reactor());
}

TEST_P(Relays, TakeOverWhatAStreamHasKeptThatWasNotPaused) {
  for (const bool inside : {false, true}) {
    Pair first = make_pair(kind());
    Pair second = make_pair(kind());
    Stream stream = make_stream(first.local);
    Stream target = make_stream(second.local);
    bool called = false;
    stream.on_event([](const StreamEvent&) {});
    stream.on_data([&](Stream& self, Bytes) {
      self.read(4);
      called = true;
      if (inside) pollux::relay(std::move(stream), std::move(target));
    });
    write_bytes(first.peer, "headbody");
    run_until(reactor(), [&] { return called; });
    if (!inside) pollux::relay(std::move(stream), std::move(target));
    EXPECT_EQ(received_by(second.peer, 4), "body");
    shutdown_write(first.peer);
    EXPECT_EQ(received_by(second.peer), "");
    EXPECT_EQ(last, 0);
    first.peer.close();
    second.peer.close();
    settle(reactor());
  }
}

TEST_P(Relays, DoWithStreamsThatMayKeepLittle) {
  Pair first = make_pair(kind());
  Pair second = make_pair(kind());
  const StreamOptions little{.write_high_water = 1000, .write_low_water = 0, .write_limit = 1000};
  Relay another{Stream{reactor(), UniqueHandle{first.local.release()}, little},
                Stream{reactor(), UniqueHandle{second.local.release()}, little}};
  const std::size_t sent = fill_both(first.peer);
  EXPECT_TRUE(another);
  shutdown_write(first.peer);
  EXPECT_EQ(received_by(second.peer).size(), sent);
  EXPECT_EQ(last, 0);
}

TEST_P(Relays, TakeOverAStreamThatHasDeliveredItsEnd) {
  Pair first = make_pair(kind());
  Pair second = make_pair(kind());
  Stream stream = make_stream(first.local);
  bool ended = false;
  stream.on_event([&](const StreamEvent& event) { ended |= event.end_of_stream(); });
  stream.on_data([](Bytes) {});
  shutdown_write(first.peer);
  run_until(reactor(), [&] { return ended; });
  Relay another{std::move(stream), make_stream(second.local)};
  EXPECT_EQ(received_by(second.peer), "");
  EXPECT_EQ(last, 0);
  write_bytes(second.peer, "answer");
  EXPECT_EQ(received_by(first.peer, 6), "answer");
}

POLLUX_ON_EACH_KIND(Relays, sockets);

class UnixRelays : public Relays {};

TEST_P(UnixRelays, PassOnMuchBesideManyWhoseEndsDoNotRead) {
  struct Held {
    Handle client;
    Handle server;
    Relay relay;
    std::size_t sent = 0;
  };
  // More than there are pipes for.
  const std::size_t count = system_facts().moves_bytes_between_sockets ? 70 : 10;
  std::vector<Held> all;
  for (std::size_t i = 0; i < count; ++i) {
    Pair first = make_pair(kind());
    Pair second = make_pair(kind());
    all.push_back({std::move(first.peer), std::move(second.peer),
                   Relay{make_stream(first.local), make_stream(second.local)}});
  }
  for (Held& each : all) each.sent = fill_both(each.client);
  expect_all_to_pass(numbered(1'000'000), numbered(1'000'000));
  for (Held& each : all) {
    shutdown_write(each.client);
    EXPECT_EQ(received_by(each.server).size(), each.sent);
    EXPECT_EQ(last, 0);
  }
}

POLLUX_ON_EACH_KIND(UnixRelays, unix_streams);

class TcpRelays : public Relays {};

TEST_P(TcpRelays, PassAResetOn) {
  for (const bool by_client : {true, false}) {
    if (!by_client) SetUp();
    Handle& resets = by_client ? client : server;
    Handle& other = by_client ? server : client;
    write_bytes(resets, "bytes");
    EXPECT_EQ(received_by(other, 5), "bytes");
    reset_connection(resets);
    EXPECT_EQ(received_by(other), "");
    EXPECT_TRUE(shows_a_reset(other, last));
    EXPECT_TRUE(ends());
    EXPECT_EQ(end->error, std::errc::connection_reset);
    EXPECT_EQ(end->failed, by_client ? RelaySide::first : RelaySide::second);
    EXPECT_TRUE(sleeps());
    end.reset();
    if (by_client) TearDown();
  }
}

TEST_P(TcpRelays, PassAResetOnAfterTheEnd) {
  shutdown_write(client);
  EXPECT_EQ(received_by(server), "");
  EXPECT_EQ(last, 0);
  reset_connection(client);
  settle(reactor());
  run_until(reactor(), server, [&] { return write_bytes(server, "x") != 1; });
  EXPECT_TRUE(ends());
  EXPECT_TRUE(end->error);
}

TEST_P(TcpRelays, DeliverAllThatCameBeforeAResetToWhoReadsLate) {
  if (system_facts().reset_discards_unread)
    return RecordProperty("not_played", "a reset throws away what is unread here");
  const std::size_t sent = fill_both(server);
  // What has not left the server goes with the reset. The rest has to come.
  const auto arrived = bytes_received(relay.native_handle(RelaySide::second));
  reset_connection(server);
  settle(reactor());
  const std::string got = received_by(client);
  EXPECT_EQ(got.size(), arrived.value_or(got.size()));
  EXPECT_GT(got.size(), 0U);
  EXPECT_LE(got.size(), sent);
  EXPECT_TRUE(shows_a_reset(client, last));
  EXPECT_TRUE(ends());
  EXPECT_EQ(end->error, std::errc::connection_reset);
}

TEST_P(TcpRelays, EndWhenBothEndsResetOfWhichNeitherReads) {
  fill_both(client);
  fill_both(server);
  reset_connection(client);
  reset_connection(server);
  EXPECT_TRUE(ends());
}

TEST_P(TcpRelays, GoWithTheirReactorAlthoughAFailureWaitsForItsBytes) {
  fill_both(server);
  reset_connection(server);
  settle(reactor());
  relay.detach();
  use({});  // no test may leave a descriptor open
}

POLLUX_ON_EACH_KIND(TcpRelays, tcp);

}  // namespace
}  // namespace pollux::conformance
