// SPDX-License-Identifier: MIT
// Rule 1: end_of_stream is never reported while a byte is unread, so that code which closes on it
// cannot lose data. Goal: every way of reading slowly, on every kind of stream.
#include "conformance/kit/kit.hpp"

namespace pollux::conformance {
namespace {

class BytesBeforeTheEnd : public OnEachKind {
 protected:
  /// What comes when the last byte has been read, if the peer closed.
  std::string_view end_of_a_closed_peer() const {
    return is_tcp(kind()) ? "end_of_stream" : "end_of_stream hangup";
  }
};

TEST_P(BytesBeforeTheEnd, EndOfStreamWaitsUntilTheLastByteIsRead) {
  const auto three_bytes_and_the_end = [](Pair& pair) {
    write_bytes(pair.peer, "abc");
    pair.peer.close();
  };
  before_and_after(Interest::readable, three_bytes_and_the_end, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 2), 2);
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local, 1), 1);
    EXPECT_TRUE(delivers(local, end_of_a_closed_peer()));
    EXPECT_EQ(read_bytes(pair.local), 0);
  });
}

TEST_P(BytesBeforeTheEnd, AStreamWithoutAByteIsAtItsEndAndNotReadable) {
  before_and_after(
      Interest::readable, [](Pair& pair) { pair.peer.close(); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, end_of_a_closed_peer()));
        EXPECT_EQ(read_bytes(pair.local), 0);
      });
}

TEST_P(BytesBeforeTheEnd, AReaderThatTakesOneByteATurnGetsThemAll) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "0123456789");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        int bytes = 0;
        local.on_event([&](const StreamEvent& event) {
          if (event.readable()) bytes += read_bytes(pair.local, 1) == 1 ? 1 : 100;
        });
        EXPECT_TRUE(delivers(local, std::string{"readable "}.append(end_of_a_closed_peer())));
        EXPECT_EQ(bytes, 10);
      });
}

TEST_P(BytesBeforeTheEnd, ClosingOnEndOfStreamLosesNoByteOfALongStream) {
  std::size_t sent = 0;
  before_and_after(
      Interest::readable,
      [&](Pair& pair) {
        sent = fill(pair.peer);
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        std::size_t received = 0;
        local.on_event([&](const StreamEvent& event) {
          if (event.readable()) received += static_cast<std::size_t>(read_bytes(pair.local, 7000));
          if (event.end_of_stream()) {
            local.watch.reset();
            pair.local.close();
          }
        });
        EXPECT_TRUE(run_until(reactor(), [&] { return !pair.local; }));
        EXPECT_EQ(received, sent);
      });
}

TEST_P(BytesBeforeTheEnd, AHandlerThatDoesNotReadIsNotDeliveredTheEnd) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "x");
        pair.peer.close();
      },
      [&](Pair&, Recorder& local) {
        EXPECT_TRUE(run_until(reactor(), [&] { return local.events().size() >= 10; }));
        EXPECT_TRUE(delivers(local, "readable"));
      });
}

TEST_P(BytesBeforeTheEnd, ReadableIsDeliveredForAsLongAsAByteIsThere) {
  before_and_after(
      Interest::readable, [](Pair& pair) { write_bytes(pair.peer, "xy"); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 1), 1);
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(read_bytes(pair.local, 1), 1);
        EXPECT_TRUE(delivers_nothing(local));
        write_bytes(pair.peer, "z");
        EXPECT_TRUE(delivers(local, "readable"));
      });
}

TEST_P(BytesBeforeTheEnd, BytesThatComeWithTheEndAreDeliveredBeforeIt) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  std::size_t received = 0;
  drain_on_readable(local, pair.local, received);
  write_bytes(pair.peer, "first");
  EXPECT_TRUE(delivers(local, "readable"));
  write_bytes(pair.peer, "last");
  pair.peer.close();
  EXPECT_TRUE(delivers(local, std::string{"readable "}.append(end_of_a_closed_peer())));
  EXPECT_EQ(received, 9u);
}

POLLUX_ON_EACH_KIND(BytesBeforeTheEnd, streams);

class BytesBeforeTheEndOfASocket : public OnEachKind {};

TEST_P(BytesBeforeTheEndOfASocket, AWriterIsNotDeliveredTheEndEither) {
  before_and_after(
      Interest::readable | Interest::writable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable writable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream writable"));
      });
}

TEST_P(BytesBeforeTheEndOfASocket, BytesBehindTheEndOfBothDirectionsAreDeliveredBeforeIt) {
  before_and_after(
      Interest::readable | Interest::writable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
        end_writing(pair.local);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

POLLUX_ON_EACH_KIND(BytesBeforeTheEndOfASocket, sockets);

class UrgentBytes : public OnEachKind {
 protected:
  static void write_urgent_byte(const Handle& handle) { EXPECT_EQ(write_urgent(handle), 1); }
};

TEST_P(UrgentBytes, DoNotHideTheBytesBehindThem) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_urgent_byte(pair.peer);
        write_bytes(pair.peer, "abc");
        shutdown_write(pair.peer);
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream"));
      });
}

TEST_P(UrgentBytes, WithNothingBehindThemAreNoReasonToHoldTheEndBack) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_urgent_byte(pair.peer);
        shutdown_write(pair.peer);
      },
      [&](Pair&, Recorder& local) {
        local.ignore(Event::readable);  // on AF_UNIX, until the end is there
        EXPECT_TRUE(delivers(local, "end_of_stream"));
      });
}

POLLUX_ON_EACH_KIND(UrgentBytes, with_urgent_bytes());

}  // namespace
}  // namespace pollux::conformance
