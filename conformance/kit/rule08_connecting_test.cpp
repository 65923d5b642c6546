// SPDX-License-Identifier: MIT
// Rule 8: connecting. Success: writable. Failure: error + hangup and nothing else. A socket neither
// connected nor connecting: error(not_connected) + hangup. Goal: each with every interest.
#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

constexpr Interest every_interest[] = {
    Interest::none, Interest::readable, Interest::writable, Interest::readable | Interest::writable,
    Interest::readable | Interest::writable | Interest::peer_closed};

class Connecting : public OnEachKind {};

TEST_P(Connecting, ThatSucceedsIsWritable) {
  for (const Interest interest : {Interest::writable, Interest::readable | Interest::writable}) {
    const Handle listener = make_listener(kind());
    const Handle client = start_connect(kind(), listener);
    Recorder local{reactor(), client, interest};
    EXPECT_TRUE(delivers(local, "writable"));
    const Handle server = accept_one(listener);
    EXPECT_EQ(write_bytes(client, "hello"), 5);
    EXPECT_EQ(read_bytes(server), 5);
  }
}

TEST_P(Connecting, ThatSucceedsIsNoEventForAReader) {
  const Handle listener = make_listener(kind());
  const Handle client = start_connect(kind(), listener);
  Recorder local{reactor(), client, Interest::readable | Interest::peer_closed};
  EXPECT_TRUE(delivers_nothing(local));
  const Handle server = accept_one(listener);
  EXPECT_TRUE(delivers_nothing(local));
  write_bytes(server, "hello");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(Connecting, ToAServerThatSpeaksAndClosesAtOnceIsDeliveredInOrder) {
  const Handle listener = make_listener(kind());
  const Handle client = start_connect(kind(), listener);
  Handle server = accept_one(listener);
  write_bytes(server, "bye");
  server.close();
  Recorder local{reactor(), client, Interest::readable};
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(client), 3u);
  EXPECT_TRUE(delivers(local, is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup"));
}

TEST_P(Connecting, NotEvenBegunIsAnErrorNotConnected) {
  for (const Interest interest : every_interest) {
    SCOPED_TRACE(to_string(interest));
    const Handle socket = make_socket(kind());
    Recorder local{reactor(), socket, interest};
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::not_connected));
  }
}

POLLUX_ON_EACH_KIND(Connecting, sockets);

class ConnectingTcp : public OnEachKind {};

TEST_P(ConnectingTcp, ThatIsRefusedIsAnErrorAndHangupAndNothingElse) {
  for (const Interest interest : every_interest) {
    SCOPED_TRACE(to_string(interest));
    const Handle socket = start_refused_connect(kind());
    Recorder local{reactor(), socket, interest};
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_refused));
  }
}

TEST_P(ConnectingTcp, ThatIsStillUnderWayIsNoEventUntilItIsDecided) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  // Two listeners that drop what arrives. Then one is gone, and the other listens: the repeated
  // SYN, after a second, is refused by one and taken by the other.
  Handle gone = make_listener(kind());
  const Handle slow = make_listener(kind());
  play_dead(gone);
  play_dead(slow);
  const Handle refused = start_connect(kind(), gone);
  const Handle taken = start_connect(kind(), slow);
  Recorder first{reactor(), refused,
                 Interest::readable | Interest::writable | Interest::peer_closed};
  Recorder second{reactor(), taken, Interest::readable | Interest::writable};
  EXPECT_TRUE(delivers_nothing(first));
  EXPECT_TRUE(delivers_nothing(second));
  EXPECT_TRUE(sleeps());
  gone.close();
  come_alive(slow);
  EXPECT_TRUE(delivers(first, "error hangup", std::errc::connection_refused));
  EXPECT_TRUE(delivers(second, "writable"));
}

TEST_P(ConnectingTcp, ThatIsShutDownByItsOwnerIsAnError) {
  if (!can_play_dead()) return RecordProperty("not_played", "packets cannot be dropped here");
  Handle listener = make_listener(kind());
  play_dead(listener);
  const Handle client = start_connect(kind(), listener);
  Recorder local{reactor(), client, Interest::readable | Interest::writable};
  EXPECT_TRUE(delivers_nothing(local));
  shutdown_both(client);
  EXPECT_TRUE(run_until(reactor(), [&] { return !local.events().empty(); }));
  EXPECT_TRUE(local.events().back().hangup());
  EXPECT_TRUE(sleeps());
}

TEST_P(ConnectingTcp, ThatWaitsForItsFirstBytesIsWritable) {
  // Connected by the first write, which the first packet takes along. Until then it has no peer,
  // and shows room to write all the same. (Where the system forbids it, it connects as usual.)
  const Handle listener = make_listener(kind());
  const Handle client = make_socket(kind());
  if (!start_fast_connect(client, listener))
    return RecordProperty("not_played", "no TCP_FASTOPEN_CONNECT here");
  Recorder local{reactor(), client, Interest::writable};
  EXPECT_TRUE(delivers(local, "writable"));
  EXPECT_EQ(write_bytes(client, "hello"), 5);
  const Handle server = accept_one(listener);
  Recorder remote{reactor(), server, Interest::readable};
  EXPECT_TRUE(delivers(remote, "readable"));
  EXPECT_EQ(read_bytes(server), 5);
}

POLLUX_ON_EACH_KIND(ConnectingTcp, tcp);

class ConnectingToAVirtualMachine : public OnEachBackend {};

TEST_P(ConnectingToAVirtualMachine, NotEvenBegunIsRefusedWhenItIsWatched) {
  const Handle socket = make_vsock_socket();
  if (!socket) {
    RecordProperty("not_played", "no AF_VSOCK to be had here");
    return;
  }
  std::error_code error;
  const StreamWatch watch = reactor().watch_stream(
      socket.get(), Interest::readable, [](const StreamEvent&) { FAIL() << "is delivered"; },
      error);
  EXPECT_EQ(error, std::errc::not_connected);
  EXPECT_FALSE(watch);
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_BACKEND(ConnectingToAVirtualMachine);

}  // namespace
}  // namespace pollux::conformance
