// SPDX-License-Identifier: MIT
// pollux::Datagram: messages over UDP and AF_UNIX. Goal: batches, messages of no bytes and of too
// many, peers that are not there or do not read, errors that end nothing, and sockets that end in
// their own handlers. A row's kind of pair stands for the datagrams of its family.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/datagram.hpp>
#include <pollux/error.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"
#include "conformance/support/unix_paths.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class Datagrams : public OnEachKind {
 protected:
  bool is_unix() const { return kind() == PairKind::unix_stream; }
  Address fresh_address() const {
    if (is_unix()) return fresh_unix_address();
    return Address{kind() == PairKind::tcp4 ? "127.0.0.1:0" : "[::1]:0"};
  }
  Address::Family family() const { return fresh_address().family(); }
  Datagram make_datagram(const DatagramOptions& options = {}) {
    return Datagram{reactor(), fresh_address(), options};
  }
  /// An address that had a socket.
  Address deserted_address() { return make_datagram().address(); }

  /// What `datagram` receives is noted, with a bar behind each message.
  void note_messages(Datagram& datagram) {
    datagram.on_message([this](const Message& message) {
      received += as_text(message.bytes);
      received += '|';
    });
  }
  void note_errors(Datagram& datagram) {
    datagram.on_error([this](const DatagramError& error) { errors.push_back(error); });
  }
  testing::AssertionResult receives(std::string_view expected) {
    run_until(reactor(), [&] { return received == expected; });
    settle(reactor());
    const std::string delivered = std::exchange(received, {});
    if (delivered == expected) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "received: " << delivered << ", expected: " << expected;
  }
  /// Whether so many errors come, and no more.
  testing::AssertionResult errors_are(std::size_t count) {
    run_until(reactor(), [&] { return errors.size() == count; });
    settle(reactor());
    if (errors.size() == count) return testing::AssertionSuccess();
    return testing::AssertionFailure() << errors.size() << " errors, expected: " << count;
  }
  /// Sends until the peer takes no more: how many messages the peer has.
  int fill_peer(Datagram& sender, const Address& peer) {
    int sent = 0;
    while (sender.send(std::string(1000, 'x'), peer)) {
      if (++sent == 100'000) throw std::runtime_error{"a peer that does not read has no end"};
    }
    return sent;
  }

  std::string received;
  std::vector<DatagramError> errors;
};

// Messages.

TEST_P(Datagrams, ReceiveWhatIsSentToTheirAddressAndAnswer) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  Address from;
  server.on_message([&](Datagram& self, const Message& message) {
    from = message.from;
    EXPECT_FALSE(message.truncated);
    self.send("re: " + std::string{as_text(message.bytes)}, message.from);
  });
  note_messages(client);
  EXPECT_TRUE(client.send("abc", server.address()));
  EXPECT_TRUE(receives("re: abc|"));
  EXPECT_EQ(from, client.address());
  EXPECT_TRUE(sleeps());
}

TEST_P(Datagrams, KeepMessagesApart) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  note_messages(server);
  const Address to = server.address();
  for (const char* text : {"a", "bc", "", "def", ""}) EXPECT_TRUE(client.send(text, to));
  EXPECT_TRUE(receives("a|bc||def||"));
}

TEST_P(Datagrams, ReceiveManyInBatches) {
  Datagram server = make_datagram({.message_limit = 1500});
  Datagram client = make_datagram();
  const Address to = server.address();
  std::string expected;
  // As many as a peer that does not read is sure to take.
  constexpr int count = 8;
  for (int i = 0; i < count; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_TRUE(client.send(text, to));
    expected += text + '|';
  }
  note_messages(server);
  EXPECT_TRUE(receives(expected));
}

TEST_P(Datagrams, ReceiveALongMessage) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  const std::string text = std::string(30'000, 'x') + std::string(30'000, 'y');
  const int size = 200'000;  // some systems have less room than UDP allows
  for (const Datagram* each : {&server, &client}) set_buffers(each->native_handle(), size);
  note_messages(server);
  EXPECT_TRUE(client.send(text, server.address()));
  EXPECT_TRUE(receives(text + '|'));
}

TEST_P(Datagrams, CutOffWhatIsTooLongAndSaySo) {
  Datagram server = make_datagram({.message_limit = 4});
  Datagram client = make_datagram();
  server.on_message([&](const Message& message) {
    received += as_text(message.bytes);
    received += message.truncated ? "..|" : "|";
  });
  for (const char* text : {"abcd", "abcde", "f"}) client.send(text, server.address());
  EXPECT_TRUE(receives("abcd|abcd..|f|"));
}

TEST_P(Datagrams, ReceiveOnlyFromThePeerThatTheyAreConnectedTo) {
  Datagram a = make_datagram();
  Datagram b = make_datagram();
  Datagram stranger = make_datagram();
  std::error_code error;
  a.send("nobody", error);
  EXPECT_EQ(error, std::errc::destination_address_required);
  a.connect(b.address());
  b.connect(a.address());
  note_messages(a);
  note_messages(b);
  EXPECT_TRUE(a.send("to b"));
  EXPECT_TRUE(receives("to b|"));
  stranger.send("strange", a.address(), error);
  EXPECT_TRUE(receives(""));
  EXPECT_TRUE(b.send("to a"));
  EXPECT_TRUE(receives("to a|"));
}

TEST_P(Datagrams, SendWithoutAnAddressOfTheirOwn) {
  Datagram server = make_datagram();
  Datagram client{reactor(), family()};
  note_messages(server);
  client.connect(server.address());
  EXPECT_TRUE(client.send("abc"));
  EXPECT_TRUE(receives("abc|"));
}

TEST_P(Datagrams, GatherWhatTheirOwnHandlerSends) {
  Datagram server = make_datagram({.message_limit = 1500});
  Datagram client = make_datagram();
  server.on_message([&](Datagram& self, const Message& message) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(self.send(message.bytes, message.from));
  });
  const Address to = server.address();
  client.send("a", to);
  client.send("b", to);
  note_messages(client);
  EXPECT_TRUE(receives("a|a|a|b|b|b|"));
  EXPECT_EQ(server.unsent(), 0U);
}

TEST_P(Datagrams, ReceiveABatchWithOneCallAndAnswerItWithOne) {
  if (!system_facts().receives_in_batches)
    return RecordProperty("not_played", "this system receives and sends messages one by one");
  for (const bool answers : {false, true}) {
    Datagram server = make_datagram({.message_limit = 1500});
    Datagram client = make_datagram({.message_limit = 1500});
    if (answers) {
      server.on_message(
          [](Datagram& self, const Message& message) { self.send(message.bytes, message.from); });
    }
    note_messages(answers ? client : server);
    const Address to = server.address();
    const auto calls_for = [&](unsigned count) {
      for (unsigned i = 0; i < count; ++i) client.send("x", to);
      received.clear();
      const auto before = reactor().stats().system_calls;
      run_until(reactor(), [&] { return received.size() == 2U * count; });
      return reactor().stats().system_calls - before;
    };
    calls_for(1);  // what is done once is done by now
    const auto of_one = calls_for(1);
    // run_until() makes a wait more or less.
    EXPECT_LE(calls_for(8), of_one + 2) << answers;
  }
}

// Pausing.

TEST_P(Datagrams, DeliverNothingWhilePausedAndAllOfItAfterwards) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  note_messages(server);
  server.pause();
  EXPECT_TRUE(server.is_paused());
  client.send("a", server.address());
  client.send("b", server.address());
  EXPECT_TRUE(receives(""));
  EXPECT_TRUE(sleeps());
  server.resume();
  EXPECT_TRUE(receives("a|b|"));
}

TEST_P(Datagrams, KeepWhatWasReceivedWithAMessageWhoseHandlerPauses) {
  Datagram server = make_datagram({.message_limit = 1500});
  Datagram client = make_datagram();
  server.on_message([&](Datagram& self, const Message& message) {
    received += as_text(message.bytes);
    received += '|';
    self.pause();
  });
  for (const char* text : {"a", "b", "c"}) client.send(text, server.address());
  for (const char* expected : {"a|", "b|", "c|", ""}) {
    EXPECT_TRUE(receives(expected));
    EXPECT_TRUE(sleeps());
    server.resume();
  }
}

TEST_P(Datagrams, GoOnBehindAHandlerThatThrows) {
  Datagram server = make_datagram({.message_limit = 1500});
  Datagram client = make_datagram();
  server.on_message([&](Datagram& self, const Message& message) {
    const std::string text{as_text(message.bytes)};
    self.send(text, message.from);
    if (text == "b") throw std::runtime_error{"b"};
  });
  note_messages(client);
  for (const char* text : {"a", "b", "c"}) client.send(text, server.address());
  const auto run = [&] { run_until(reactor(), [&] { return received.size() == 6; }); };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_TRUE(receives("a|b|c|"));
}

TEST_P(Datagrams, LetOthersHaveTheirTurn) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  const Address to = server.address();
  int in_a_row = 0;
  int most = 0;
  int left = 1000;
  server.on_message([&](const Message&) {
    most = std::max(most, ++in_a_row);
    if (left-- > 0) client.send("again", to);
  });
  const Timer turns = reactor().every(1ns, [&] { in_a_row = 0; });
  // More than one call receives, at any time.
  for (int i = 0; i < 6; ++i) client.send("first", to);
  EXPECT_TRUE(run_until(reactor(), [&] { return left < 0; }));
  EXPECT_LE(most, 100);
}

// Errors.

class UdpDatagrams : public Datagrams {};

TEST_P(UdpDatagrams, SayThatNobodyHasThePortAndGoOn) {
  if (!system_facts().lost_datagram_is_an_error)
    return RecordProperty("not_played", "a lost datagram is no steady error here");
  const Address nobody = deserted_address();
  Datagram client = make_datagram();
  note_messages(client);
  note_errors(client);
  client.connect(nobody);
  for (int round = 1; round <= 3; ++round) {
    EXPECT_TRUE(client.send("lost"));
    ASSERT_TRUE(errors_are(static_cast<std::size_t>(round)));
    EXPECT_EQ(errors.back().code, std::errc::connection_refused);
    EXPECT_EQ(errors.back().peer, nobody);
    EXPECT_TRUE(sleeps());
  }
  Datagram server{reactor(), nobody};
  server.on_message(
      [](Datagram& self, const Message& message) { self.send(message.bytes, message.from); });
  EXPECT_TRUE(client.send("abc"));
  EXPECT_TRUE(receives("abc|"));
  ASSERT_TRUE(errors_are(3));
}

TEST_P(UdpDatagrams, SayWhomItWasForAndWhoSaysSo) {
  if (!system_facts().errors_name_the_peer)
    return RecordProperty("not_played", "this system says it only of a connected socket");
  Datagram client = make_datagram();
  Datagram server = make_datagram();
  note_messages(client);
  note_messages(server);
  note_errors(client);
  const Address first = deserted_address();
  const Address second = deserted_address();
  EXPECT_TRUE(client.send("lost", first));
  EXPECT_TRUE(client.send("arrives", server.address()));
  EXPECT_TRUE(client.send("lost", second));
  ASSERT_TRUE(errors_are(2));
  EXPECT_TRUE(receives("arrives|"));
  EXPECT_EQ(errors[0].peer, first);
  EXPECT_EQ(errors[1].peer, second);
  for (const DatagramError& error : errors) {
    EXPECT_EQ(error.code, std::errc::connection_refused);
    EXPECT_EQ(error.origin, kind() == PairKind::tcp4 ? DatagramError::Origin::icmp
                                                     : DatagramError::Origin::icmp6);
    EXPECT_EQ(error.reporter.to_string(), kind() == PairKind::tcp4 ? "127.0.0.1:0" : "[::1]:0");
    EXPECT_EQ(error.mtu, 0U);
  }
  EXPECT_TRUE(sleeps());
}

TEST_P(UdpDatagrams, DeliverErrorsWhileNobodyReceives) {
  if (!system_facts().lost_datagram_is_an_error)
    return RecordProperty("not_played", "a lost datagram is no steady error here");
  Datagram client = make_datagram();
  note_errors(client);
  client.connect(deserted_address());
  EXPECT_TRUE(client.send("lost"));
  // Without an interest that reports it, the next send() finds it.
  if (!any(reactor().backend_reports(), RawReady::pri)) {
    settle(reactor());
    EXPECT_TRUE(client.send("lost"));
  }
  ASSERT_TRUE(run_until(reactor(), [&] { return !errors.empty(); }));
  EXPECT_EQ(errors.front().code, std::errc::connection_refused);
  EXPECT_TRUE(sleeps());
}

TEST_P(UdpDatagrams, SayItOfEachMessage) {
  if (!system_facts().lost_datagram_is_an_error)
    return RecordProperty("not_played", "a lost datagram is no steady error here");
  Datagram client = make_datagram();
  note_messages(client);
  note_errors(client);
  client.connect(deserted_address());
  EXPECT_TRUE(client.send("lost"));
  EXPECT_TRUE(client.send("lost, and answered with what is said of the first"));
  ASSERT_TRUE(errors_are(2));
  for (const DatagramError& error : errors) EXPECT_EQ(error.code, std::errc::connection_refused);
}

TEST_P(UdpDatagrams, DropErrorsThatNobodyWantsToKnow) {
  Datagram client = make_datagram();
  Datagram server = make_datagram();
  note_messages(client);
  note_messages(server);
  client.connect(deserted_address());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(client.send("lost"));
    EXPECT_TRUE(receives(""));
    EXPECT_TRUE(sleeps());
  }
  client.connect(server.address());
  EXPECT_TRUE(client.send("abc"));
  EXPECT_TRUE(receives("abc|"));
}

TEST_P(UdpDatagrams, SayThatAMessageIsTooLong) {
  Datagram client = make_datagram();
  Datagram server = make_datagram();
  note_messages(client);
  note_messages(server);
  note_errors(client);
  const Address to = server.address();
  for (const std::size_t size : {65'530U, 70'000U}) {
    errors.clear();
    EXPECT_TRUE(client.send(std::string(size, 'x'), to));
    EXPECT_TRUE(client.send("short", to));
    ASSERT_TRUE(errors_are(1)) << size;
    EXPECT_EQ(errors.front().code, std::errc::message_size);
    EXPECT_EQ(errors.front().origin, DatagramError::Origin::local);
    EXPECT_EQ(errors.front().peer, to);
    if (system_facts().errors_name_the_peer && size < 65'536) {
      EXPECT_NE(errors.front().mtu, 0U);
    }
    EXPECT_TRUE(receives("short|"));
  }
}

POLLUX_ON_EACH_KIND(UdpDatagrams, tcp);

class UnixDatagrams : public Datagrams {};

TEST_P(UnixDatagrams, SayThatNobodyHasTheName) {
  const Address nobody = fresh_unix_address();
  Datagram client = make_datagram();
  note_errors(client);
  EXPECT_TRUE(client.send("lost", nobody));
  ASSERT_TRUE(errors_are(1));
  EXPECT_TRUE(errors[0].code == std::errc::connection_refused ||
              errors[0].code == std::errc::no_such_file_or_directory)
      << errors[0].code.message();
  EXPECT_EQ(errors[0].peer, nobody);
  EXPECT_EQ(errors[0].origin, DatagramError::Origin::local);
  EXPECT_TRUE(sleeps());
}

TEST_P(UnixDatagrams, FindAPeerThatHasGoneAndComeBack) {
  std::optional<Datagram> server{make_datagram()};
  const Address name = server->address();
  Datagram client = make_datagram();
  note_errors(client);
  client.connect(name);
  for (int round = 1; round <= 2; ++round) {
    server.reset();
    EXPECT_TRUE(client.send("lost"));
    EXPECT_TRUE(client.send("lost"));
    ASSERT_TRUE(errors_are(2));
    EXPECT_EQ(errors[0].peer, name);
    errors.clear();
    server.emplace(reactor(), name);
    note_messages(*server);
    EXPECT_TRUE(client.send("abc"));
    EXPECT_TRUE(receives("abc|"));
  }
  ASSERT_TRUE(errors_are(0));
}

TEST_P(UnixDatagrams, HoldWhatAPeerDoesNotReadAndSayWhenAllIsSent) {
  for (const bool connected : {false, true}) {
    Datagram server = make_datagram();
    Datagram client = make_datagram();
    const Address to = server.address();
    if (connected) client.connect(to);
    int drained = 0;
    client.on_drained([&] { ++drained; });
    const auto send = [&](std::string_view text) {
      return connected ? client.send(text) : client.send(text, to);
    };
    int sent = 0;
    while (send("x")) ++sent;
    EXPECT_FALSE(send("y"));
    EXPECT_EQ(client.unsent(), 2U);
    settle(reactor());
    EXPECT_EQ(drained, 0);
    EXPECT_EQ(client.unsent(), 2U);
    if (connected) {  // of another the loop asks from time to time
      EXPECT_TRUE(sleeps());
    }
    std::string expected;
    for (int i = 0; i <= sent; ++i) expected += "x|";
    note_messages(server);
    EXPECT_TRUE(receives(expected + "y|")) << connected;
    EXPECT_TRUE(run_until(reactor(), [&] { return drained == 1; }));
    EXPECT_EQ(client.unsent(), 0U);
    EXPECT_TRUE(send("z"));
    EXPECT_TRUE(receives("z|"));
    EXPECT_EQ(drained, 1);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(UnixDatagrams, DoNotHaveOthersWaitForAPeerThatDoesNotRead) {
  Datagram slow = make_datagram();
  Datagram quick = make_datagram();
  Datagram client = make_datagram();
  note_messages(quick);
  fill_peer(client, slow.address());
  EXPECT_TRUE(client.send("a", quick.address()));
  EXPECT_TRUE(receives("a|"));
  EXPECT_EQ(client.unsent(), 1000U);
  // The queue is full with both, and the second one reads.
  quick.pause();
  fill_peer(client, quick.address());
  client.send("last", quick.address());
  EXPECT_EQ(client.unsent(), 2004U);
  quick.resume();
  EXPECT_TRUE(run_until(reactor(), [&] { return received.ends_with("last|"); }));
  EXPECT_EQ(client.unsent(), 1000U);
}

TEST_P(UnixDatagrams, DoNotOvertakeWhatWaitsForTheSamePeer) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  const Address to = server.address();
  fill_peer(client, to);
  EXPECT_FALSE(client.send("y", to));
  bool has_room = false;
  server.on_message([&](const Message& message) {
    if (message.bytes.size() == 1) received += as_text(message.bytes);
    if (!std::exchange(has_room, true)) client.send("z", to);
  });
  EXPECT_TRUE(receives("yz"));
}

TEST_P(UnixDatagrams, RefuseWhatIsMoreThanMayWait) {
  Datagram server = make_datagram();
  Datagram client = make_datagram({.send_limit = 3000});
  const Address to = server.address();
  int drained = 0;
  client.on_drained([&] { ++drained; });
  fill_peer(client, to);  // and 1,000 bytes wait
  std::error_code error;
  EXPECT_FALSE(client.send(std::string(1000, 'y'), to, error));
  EXPECT_FALSE(error);
  EXPECT_FALSE(client.send(std::string(1000, 'y'), to, error));
  EXPECT_EQ(error, std::errc::no_buffer_space);
  EXPECT_EQ(client.unsent(), 2000U);
  EXPECT_FALSE(client.send("small", to, error));
  EXPECT_FALSE(error);
  note_messages(server);
  EXPECT_TRUE(run_until(reactor(), [&] { return received.ends_with("small|"); }));
  EXPECT_TRUE(run_until(reactor(), [&] { return drained == 1; }));
}

TEST_P(UnixDatagrams, SayThatThereIsRoomAlsoWhereNothingMayWait) {
  for (const bool connected : {false, true}) {
    Datagram server = make_datagram();
    Datagram client = make_datagram({.send_limit = 0});
    const Address to = server.address();
    if (connected) client.connect(to);
    int drained = 0;
    client.on_drained([&] { ++drained; });
    std::error_code error;
    while (connected ? client.send("x", error) : client.send("x", to, error)) {
    }
    EXPECT_EQ(error, std::errc::no_buffer_space);
    EXPECT_EQ(client.unsent(), 0U);
    note_messages(server);
    EXPECT_TRUE(run_until(reactor(), [&] { return drained == 1; }));
  }
}

TEST_P(UnixDatagrams, TakeTheirNameWithThem) {
  const Address name = fresh_unix_address();
  std::error_code error;
  {
    const Datagram first{reactor(), name};
    const Datagram second{reactor(), name, error};
    EXPECT_EQ(error, std::errc::address_in_use);
    EXPECT_FALSE(second);
  }
  const Datagram third{reactor(), name, error};
  EXPECT_FALSE(error);
  EXPECT_EQ(third.address(), name);
}

POLLUX_ON_EACH_KIND(UnixDatagrams, unix_streams);

// The end, and what is refused.

TEST_P(Datagrams, RefuseWhatMakesNoSense) {
  std::error_code error;
  EXPECT_FALSE(Datagram(reactor(), Address{}, error));
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_FALSE(Datagram(reactor(), fresh_address(), DatagramOptions{.message_limit = 0}, error));
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_FALSE(
      Datagram(reactor(), fresh_address(), DatagramOptions{.message_limit = 65'537}, error));
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_THROW((Datagram{reactor(), Address{}}), std::system_error);
  Datagram datagram = make_datagram();
  datagram.connect(Address{}, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_THROW(datagram.connect(Address{}), std::system_error);
  datagram.send("x", Address{}, error);
  EXPECT_EQ(error, std::errc::destination_address_required);
  EXPECT_THROW(datagram.send("x"), std::system_error);
}

TEST_P(Datagrams, DoNothingOnceTheyAreClosed) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  note_messages(server);
  const auto capture = std::make_shared<int>(1);
  server.on_error([capture](const DatagramError&) {});
  client.send("x", server.address());
  server.close();
  EXPECT_FALSE(server);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_EQ(server.native_handle(), no_handle);
  EXPECT_TRUE(receives(""));
  std::error_code error;
  server.send("x", client.address(), error);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  server.connect(client.address(), error);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  server.pause();
  server.resume();
  server.close();
  Datagram nothing;
  nothing.send("x", error);
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  EXPECT_EQ(nothing.address(), Address{});
  client.close();
  EXPECT_EQ(reactor().run(), 0U);  // nothing is left
}

TEST_P(Datagrams, MayBeDestroyedByEachOfTheirHandlers) {
  std::optional<Datagram> datagram;
  const auto capture = std::make_shared<int>(1);
  const auto destroys = [&] {
    return [&datagram, capture](auto&&...) {
      datagram.reset();
      EXPECT_EQ(*capture, 1);  // still there
    };
  };
  const auto play = [&](auto happens) {
    datagram.emplace(reactor(), fresh_address());
    happens();
    EXPECT_TRUE(run_until(reactor(), [&] { return !datagram.has_value(); }));
    EXPECT_EQ(capture.use_count(), 1);
  };
  Datagram other = make_datagram();
  play([&] {
    const Address to = datagram->address();
    datagram->on_message(destroys());
    for (int i = 0; i < 3; ++i) other.send("abc", to);
  });
  play([&] {
    datagram->on_message([](const Message&) {});
    datagram->on_error(destroys());
    datagram->send(std::string(70'000, 'x'), is_unix() ? fresh_unix_address() : other.address());
  });
  if (!is_unix()) return;
  play([&] {
    datagram->on_drained(destroys());
    fill_peer(*datagram, other.address());
    note_messages(other);
  });
}

TEST_P(Datagrams, SendWhatWasGatheredBeforeTheyEnd) {
  std::optional<Datagram> server{make_datagram()};
  Datagram client = make_datagram();
  server->on_message([&](Datagram& self, const Message& message) {
    const std::string text{as_text(message.bytes)};
    self.send("last: " + text, message.from);
    server.reset();
    EXPECT_EQ(as_text(message.bytes), text);  // until the handler returns
  });
  note_messages(client);
  client.send("abc", server->address());
  EXPECT_TRUE(receives("last: abc|"));
}

TEST_P(Datagrams, AreGivenToTheirHandlers) {
  Datagram server = make_datagram();
  Datagram client = make_datagram();
  const Address to = server.address();
  server.on_message([&](Datagram& self, const Message& message) {
    received += as_text(message.bytes);
    const Datagram nothing = std::move(self);  // it owns nothing
    EXPECT_FALSE(nothing);
  });
  Datagram moved = std::move(server);
  EXPECT_FALSE(server);
  EXPECT_TRUE(moved);
  client.send("a", to);
  EXPECT_TRUE(receives("a"));
  server = std::move(moved);
  client.send("b", to);
  EXPECT_TRUE(receives("b"));
}

TEST_P(Datagrams, OutliveTheirReactor) {
  std::optional<Reactor> other{std::in_place, make_contestant(backend())};
  Datagram datagram{*other, fresh_address()};
  note_messages(datagram);
  note_errors(datagram);
  const Address own = datagram.address();
  other.reset();
  EXPECT_FALSE(datagram);
  std::error_code error;
  datagram.send("x", own, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  datagram.connect(own, error);
  EXPECT_EQ(error, Errc::reactor_closed);
  datagram.pause();
  datagram.resume();
  datagram.on_message([](const Message&) {});
  datagram.close();
}

TEST_P(Datagrams, MayShareAnAddressWhereTheSystemSpreadsMessages) {
  std::error_code error;
  Datagram first{reactor(), fresh_address(), DatagramOptions{.reuse_port = true}, error};
  if (is_unix() || error) return RecordProperty("not_played", "nothing of the kind here");
  Datagram second{reactor(), first.address(), DatagramOptions{.reuse_port = true}};
  note_messages(first);
  note_messages(second);
  Datagram client = make_datagram();
  client.send("x", first.address());
  EXPECT_TRUE(receives("x|"));
}

POLLUX_ON_EACH_KIND(Datagrams, sockets);

}  // namespace
}  // namespace pollux::conformance
