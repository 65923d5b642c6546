// SPDX-License-Identifier: MIT
// pollux::Stream: the contract's lifecycle with the bytes in it. Goal: reading, keeping, pausing,
// writing, each way of ending, and streams that end in their own handlers.
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/error.hpp>
#include <pollux/stream.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// What a stream delivers: bytes as they are, events in brackets.
class Played {
 public:
  Played() = default;
  Played(Played&&) = delete;

  void runs_on(Reactor& reactor) noexcept { reactor_ = &reactor; }

  void keep_data(Stream& stream) {
    stream.on_data([this](Bytes bytes) { text += as_text(bytes); });
  }
  void keep_events(Stream& stream) {
    stream.on_event([this](const StreamEvent& event) {
      text += '[' + to_string(event.events()) + ']';
      if (event.error()) error = event.error();
    });
  }
  /// Runs until it is `expected`, and then some more; and begins anew.
  testing::AssertionResult is(std::string_view expected) {
    run_until(*reactor_, [&] { return text == expected; });
    settle(*reactor_);
    const std::string delivered = std::exchange(text, {});
    if (delivered == expected) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "delivered: " << delivered << ", expected: " << expected;
  }

  std::string text;
  std::error_code error;

 private:
  Reactor* reactor_ = nullptr;
};

class Streams : public OnEachKind {
 protected:
  /// A stream on the local side, which keeps its story.
  Stream make_stream(Pair& of, const StreamOptions& options = {}) {
    Stream stream = make_silent_stream(of.local, options);
    story.keep_data(stream);
    story.keep_events(stream);
    return stream;
  }
  Stream make_silent_stream(Handle& handle, const StreamOptions& options = {}) {
    return Stream{reactor(), UniqueHandle{handle.release()}, options};
  }
  /// All that the peer gets until `size` bytes are there, or its end; what the last read returned
  /// goes to `last`.
  std::string received_by(const Handle& peer, std::size_t size, long* last = nullptr) {
    std::string got;
    long count = 0;
    run_until(reactor(), peer, [&] {
      while (got.size() < size && (count = read_onto(got, peer)) > 0) {
      }
      return got.size() >= size || (count != -EAGAIN && count <= 0);
    });
    if (last != nullptr) *last = count;
    return got;
  }
  /// The peer resets the connection. (On AF_UNIX that is a close with bytes unread.)
  void reset_by_peer(Stream& stream) {
    stream.write("left unread by the peer");
    settle(reactor());
    reset_connection(pair.peer);
  }
  /// Whether that is what the peer reads of a reset. (AF_UNIX has none: an end.)
  testing::AssertionResult peer_is_cut_off(long last) {
    if (is_tcp(kind())) return shows_a_reset(pair.peer, last);
    if (last == 0) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "the read gave " << last;
  }
  /// Whether the peer gets the end, and nothing before.
  testing::AssertionResult peer_gets_the_end(const Handle& peer) {
    long last = -1;
    const std::string got = received_by(peer, 1, &last);
    if (got.empty() && last == 0) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "the peer got '" << got << "' and " << last;
  }

  void SetUp() override {
    OnEachKind::SetUp();
    pair = make_pair(kind());
    story.runs_on(reactor());
  }
  void TearDown() override {
    pair = {};
    OnEachKind::TearDown();
  }

  Pair pair;
  Played story;
};

/// More than the buffers of the system take.
std::string much() {
  std::string text(8U << 20, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + (i >> 12));
  return text;
}

// Reading.

TEST_P(Streams, DeliverTheBytesAndThenTheEnd) {
  Stream stream = make_stream(pair);
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(story.is("abc"));
  write_bytes(pair.peer, "def");
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("def[end_of_stream]"));
  EXPECT_TRUE(stream);
}

TEST_P(Streams, SayEarlyThatThePeerHasClosedIfThatIsAskedFor) {
  Stream stream = make_stream(pair, {.peer_closed = true});
  stream.pause();
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("[peer_closed]"));
  stream.resume();
  EXPECT_TRUE(story.is("[end_of_stream]"));
}

TEST_P(Streams, ReadNothingBeforeSomebodyTakesIt) {
  Stream stream = make_silent_stream(pair.local);
  write_bytes(pair.peer, "abc");
  settle(reactor());
  EXPECT_TRUE(sleeps());
  story.keep_data(stream);
  EXPECT_TRUE(story.is("abc"));
}

TEST_P(Streams, DeliverNoEndBeforeSomebodyTakesTheBytes) {
  Stream stream = make_silent_stream(pair.local);
  story.keep_events(stream);
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is(""));
  story.keep_data(stream);
  EXPECT_TRUE(run_until(reactor(), [&] { return !story.text.empty(); }));
  EXPECT_TRUE(story.text.starts_with("[end_of_stream")) << story.text;
}

TEST_P(Streams, DeliverNothingWhilePausedAndAllOfItAfterwards) {
  Stream stream = make_stream(pair);
  stream.pause();
  write_bytes(pair.peer, "abc");
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is(""));
  EXPECT_TRUE(sleeps());
  stream.resume();
  EXPECT_TRUE(story.is("abc[end_of_stream]"));
}

// What a report has brought, and no read has taken, is never forgotten: also where a backend
// reports news alone.

TEST_P(Streams, DeliverAllOfWhatIsMoreThanARead) {
  const std::string text = much().substr(0, 50'000);
  Stream stream = make_silent_stream(pair.local);
  stream.on_data([&](Stream& self, Bytes bytes) {
    if (bytes.size() < text.size()) return self.keep(bytes.size());  // the next has little room
    story.text += as_text(bytes);
  });
  write_bytes(pair.peer, std::string_view{text}.substr(0, 1));
  settle(reactor());
  Stream peer = make_silent_stream(pair.peer);
  peer.write(std::string_view{text}.substr(1));
  EXPECT_TRUE(story.is(text));
  EXPECT_TRUE(sleeps());
}

TEST_P(Streams, DeliverWhatIsLeftWhenTheyPauseAndGoOnAtOnce) {
  Stream stream = make_silent_stream(pair.local);
  const std::string text = much().substr(0, 100'000);
  stream.on_data([&](Stream& self, Bytes bytes) {
    self.pause();
    story.text += as_text(bytes);
    self.resume();
  });
  Stream peer = make_silent_stream(pair.peer);
  peer.write(text);
  EXPECT_TRUE(story.is(text));
}

TEST_P(Streams, DeliverAfterwardsWhatAStopHasLeft) {
  Pair other = make_pair(kind());
  Stream stream = make_silent_stream(pair.local);
  Stream beside = make_silent_stream(other.local);
  for (Stream* const each : {&stream, &beside}) {
    each->on_data([&](Bytes bytes) {
      story.text += as_text(bytes);
      reactor().stop();
    });
  }
  settle(reactor());
  write_bytes(pair.peer, "abc");
  write_bytes(other.peer, "abc");
  reactor().run();
  EXPECT_EQ(story.text, "abc");
  reactor().run();
  EXPECT_EQ(story.text, "abcabc");
}

TEST_P(Streams, DeliverAfterwardsWhatAHandlerThatThrowsHasLeft) {
  struct Thrown {};
  Pair other = make_pair(kind());
  Stream stream = make_silent_stream(pair.local);
  Stream beside = make_silent_stream(other.local);
  for (Stream* const each : {&stream, &beside}) {
    each->on_data([&](Bytes bytes) {
      story.text += as_text(bytes);
      throw Thrown{};
    });
  }
  settle(reactor());
  write_bytes(pair.peer, "abc");
  write_bytes(other.peer, "abc");
  EXPECT_THROW(run_until(reactor(), [] { return false; }), Thrown);
  EXPECT_EQ(story.text, "abc");
  EXPECT_THROW(run_until(reactor(), [] { return false; }), Thrown);
  EXPECT_EQ(story.text, "abcabc");
}

TEST_P(Streams, DeliverAgainWhatAHandlerHasNotRead) {
  Stream stream = make_stream(pair);
  stream.on_data([&](Stream& self, Bytes bytes) {
    story.text += '<' + std::string{as_text(bytes)} + '>';
    while (as_text(bytes).find('.') != std::string_view::npos) {
      const Bytes line = self.read(as_text(bytes).find('.') + 1);
      story.text += as_text(line);
      bytes = bytes.subspan(line.size());
    }
    self.keep(bytes.size());
  });
  write_bytes(pair.peer, "ab");
  EXPECT_TRUE(story.is("<ab>"));
  write_bytes(pair.peer, "c.d.e");
  EXPECT_TRUE(story.is("<abc.d.e>abc.d."));
  write_bytes(pair.peer, "f.");
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("<ef.>ef.[end_of_stream]"));
}

TEST_P(Streams, DeliverWhatWasKeptWhenTheyGoOn) {
  Stream stream = make_stream(pair);
  stream.on_data([&](Stream& self, Bytes bytes) {
    story.text += as_text(bytes);
    if (as_text(bytes) != "abc") return;
    self.read(1);
    self.pause();
  });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(story.is("abc"));
  write_bytes(pair.peer, "def");
  EXPECT_TRUE(story.is(""));
  stream.resume();
  EXPECT_TRUE(story.is("bcdef"));
}

TEST_P(Streams, DeliverWhatWasKeptBeforeTheEnd) {
  Stream stream = make_silent_stream(pair.local);
  story.keep_events(stream);
  bool once = false;
  stream.on_data([&](Stream& self, Bytes bytes) {
    if (std::exchange(once, true)) {
      story.text += as_text(bytes);
      return;
    }
    self.keep(bytes.size());
    self.pause();
  });
  write_bytes(pair.peer, "kept");
  EXPECT_TRUE(story.is(""));
  shutdown_write(pair.peer);
  settle(reactor());
  stream.resume();
  run_until(reactor(), [&] { return story.text.find(']') != std::string::npos; });
  EXPECT_TRUE(story.text.starts_with("kept[end_of_stream")) << story.text;
}

TEST_P(Streams, DeliverWhatWasKeptBeforeTheEndOfBothDirections) {
  for (const bool closes : {false, true}) {
    pair = make_pair(kind());
    Stream stream = make_stream(pair);
    stream.on_data([&](Stream& self, Bytes bytes) {
      story.text += as_text(bytes);
      if (!self.is_paused() && as_text(bytes) == "new") {
        self.keep(bytes.size());
        self.pause();
      }
    });
    write_bytes(pair.peer, "new");
    EXPECT_TRUE(story.is("new"));
    stream.shutdown_write();
    shutdown_write(pair.peer);
    EXPECT_TRUE(story.is(""));  // rule 4: unread
    EXPECT_TRUE(sleeps());
    EXPECT_TRUE(stream);
    stream.on_data([&](Bytes bytes) { story.text += as_text(bytes); });
    closes ? stream.close() : stream.resume();
    EXPECT_TRUE(story.is(closes ? "[hangup]" : "new[end_of_stream hangup]"));
  }
}

TEST_P(Streams, GiveWhatWasKeptWhenThePeerHasEnded) {
  Stream stream = make_silent_stream(pair.local);
  stream.on_data([](Stream& self, Bytes bytes) { self.keep(bytes.size()); });
  std::string rest;
  stream.on_event([&](Stream& self, const StreamEvent& event) {
    if (event.end_of_stream()) rest += as_text(self.read(100));
  });
  write_bytes(pair.peer, "no newline");
  settle(reactor());
  pair.peer.close();
  EXPECT_TRUE(run_until(reactor(), [&] { return !rest.empty(); }));
  EXPECT_EQ(rest, "no newline");
}

TEST_P(Streams, LeaveTheirHandlerItsBytesWhenItEndsThem) {
  for (const auto end : {&Stream::close, &Stream::abort, &Stream::abort_when_sent}) {
    pair = make_pair(kind());
    Stream stream = make_silent_stream(pair.local);
    std::string got;
    stream.on_data([&](Stream& self, Bytes bytes) {
      if (bytes.size() < 6) return self.keep(bytes.size());
      (self.*end)();
      got = as_text(bytes);
    });
    for (const std::string_view part : {"abc", "def"}) {
      write_bytes(pair.peer, part);
      settle(reactor());
    }
    EXPECT_EQ(got, "abcdef");
  }
}

TEST_P(Streams, GiveWhatIsThereToAPausedReader) {
  Stream stream = make_stream(pair);
  stream.pause();
  EXPECT_TRUE(stream.read(3).empty());
  write_bytes(pair.peer, "abcdef");
  std::string got;
  run_until(reactor(), [&] {
    got += as_text(stream.read(4 - got.size()));
    return got.size() == 4;
  });
  EXPECT_EQ(got, "abcd");
  EXPECT_EQ(as_text(stream.read(100)), "ef");
  stream.resume();
  write_bytes(pair.peer, "g");
  EXPECT_TRUE(story.is("g"));
}

TEST_P(Streams, FailIfMoreIsKeptThanTheyMay) {
  Stream stream = make_stream(pair, {.read_limit = 4});
  stream.on_data([&](Stream& self, Bytes bytes) { self.keep(bytes.size()); });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(story.is(""));
  write_bytes(pair.peer, "d");
  EXPECT_TRUE(story.is(""));
  write_bytes(pair.peer, "e");
  EXPECT_TRUE(story.is("[error hangup]"));
  EXPECT_EQ(story.error, std::errc::no_buffer_space);
  EXPECT_FALSE(stream);
}

// Writing.

TEST_P(Streams, LeaveWhatAPausedReaderHasTakenWhereItIs) {
  Stream stream = make_stream(pair);
  stream.pause();
  std::string text(20'000, '\0');
  for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>('a' + at % 23);
  write_bytes(pair.peer, text);
  settle(reactor());
  std::vector<Bytes> parts;
  std::string taken;
  for (const std::size_t size : {10U, 10U, 100U, 5'000U, 1U, 9'000U}) {
    parts.push_back(stream.read(size));
    EXPECT_EQ(parts.back().size(), size);
  }
  for (const Bytes part : parts) taken += as_text(part);
  EXPECT_EQ(taken, text.substr(0, taken.size()));
}

TEST_P(Streams, GoOnWhenAHandlerThrows) {
  struct Thrown {};
  const auto turn = [&] {
    try {
      run_until(reactor(), pair.peer, [&] { return false; });
    } catch (const Thrown&) {
      return true;
    }
    return false;
  };
  Stream stream = make_silent_stream(pair.local);
  stream.on_data([](Stream& self, Bytes bytes) {
    self.write(bytes);
    throw Thrown{};
  });
  stream.on_event([&](Stream& self, const StreamEvent& event) {
    story.text += '[' + to_string(event.events()) + ']';
    if (!event.end_of_stream()) return;
    self.write("last words");
    self.shutdown_write();
    throw Thrown{};
  });
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(turn());
  EXPECT_EQ(received_by(pair.peer, 3), "abc");
  shutdown_write(pair.peer);
  EXPECT_TRUE(turn());
  EXPECT_EQ(received_by(pair.peer, 10), "last words");
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  EXPECT_TRUE(run_until(reactor(), [&] { return story.text.ends_with("hangup]"); })) << story.text;
  EXPECT_TRUE(story.text.starts_with("[end_of_stream]")) << story.text;
}

TEST_P(Streams, DeliverTheEndAlthoughAHandlerThrowsAheadOfIt) {
  struct Thrown {};
  Stream stream = make_silent_stream(pair.local, {.peer_closed = true});
  story.keep_data(stream);
  stream.on_event([&](const StreamEvent& event) {
    story.text += '[' + to_string(event.events()) + ']';
    if (event.peer_closed()) throw Thrown{};
  });
  pair.peer.close();
  EXPECT_THROW(run_until(reactor(), [&] { return false; }), Thrown);
  EXPECT_TRUE(story.is(is_tcp(kind()) ? "[peer_closed][end_of_stream]"
                                      : "[peer_closed][end_of_stream hangup]"));
}

TEST_P(Streams, MayReplaceTheHandlerThatRuns) {
  Stream stream = make_silent_stream(pair.local);
  auto capture = std::make_shared<int>(0);
  const std::weak_ptr<int> captured = capture;
  stream.on_data([&, capture = std::move(capture)](Stream& self, Bytes bytes) {
    self.read(4);  // a header, and behind it
    self.on_data([this](Bytes rest) { story.text += as_text(rest); });
    EXPECT_FALSE(captured.expired());
    story.text += std::to_string(bytes.size());
  });
  write_bytes(pair.peer, "headbody");
  EXPECT_TRUE(story.is("8body"));
  EXPECT_TRUE(captured.expired());
}

TEST_P(Streams, SendWhatIsWrittenInOrder) {
  Stream stream = make_stream(pair);
  const std::string b = "b";
  const std::vector<Bytes> pieces{as_bytes("c"), as_bytes(""), as_bytes("d")};
  EXPECT_TRUE(stream.write("a"));
  EXPECT_TRUE(stream.write(b));
  EXPECT_TRUE(stream.write(pieces));
  EXPECT_TRUE(stream.write(std::string(5000, 'e')));
  EXPECT_TRUE(stream.write(as_bytes(std::string(5000, 'f'))));
  EXPECT_TRUE(stream.write("g"));
  const std::string all = "abcd" + std::string(5000, 'e') + std::string(5000, 'f') + "g";
  EXPECT_EQ(received_by(pair.peer, all.size()), all);
  EXPECT_EQ(stream.unsent(), 0U);
}

TEST_P(Streams, SendWhatIsWrittenBehindAStringThatThePeerDoesNotTakeAtOnce) {
  Stream stream = make_stream(pair);
  std::string all;
  const auto write = [&](std::string text, bool given) {
    all += text;
    std::error_code error;
    if (given)
      stream.write(std::move(text), error);
    else
      stream.write(std::string_view{text}, error);
    EXPECT_FALSE(error) << error.message();
  };
  write(much(), true);
  for (const bool given : {false, true}) {
    write("short", given);
    write(std::string(5000, 'a'), given);
    write("shorter", given);
    write(std::string(40'000, 'b'), given);
  }
  EXPECT_TRUE(received_by(pair.peer, all.size()) == all);
  EXPECT_EQ(stream.unsent(), 0U);
}

TEST_P(Streams, SendWhatThePeerDoesNotTakeAtOnce) {
  const std::string text = much();
  for (int how = 0; how < 3; ++how) {
    pair = make_pair(kind());
    Stream stream = make_stream(pair);
    switch (how) {
      case 0:
        EXPECT_FALSE(stream.write(text));
        break;
      case 1:
        EXPECT_FALSE(stream.write(std::string{text}));
        break;
      default:
        for (std::size_t at = 0; at < text.size(); at += 1000)
          stream.write(std::string_view{text}.substr(at, 1000));
    }
    EXPECT_GT(stream.unsent(), 0U);
    EXPECT_TRUE(received_by(pair.peer, text.size()) == text) << how;
    EXPECT_EQ(stream.unsent(), 0U);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Streams, SayWhenTheyHaveDrained) {
  Stream stream = make_stream(pair, {.write_high_water = 100, .write_low_water = 0});
  int drained = 0;
  stream.on_drained([&] { ++drained; });
  EXPECT_TRUE(stream.write("a"));
  const std::string text = "a" + much();
  EXPECT_FALSE(stream.write(std::string_view{text}.substr(1)));
  settle(reactor());
  EXPECT_EQ(drained, 0);
  EXPECT_TRUE(received_by(pair.peer, text.size()) == text);
  settle(reactor());
  EXPECT_EQ(drained, 1);
  EXPECT_TRUE(stream.write("b"));
}

TEST_P(Streams, SayThatTheyHaveDrainedWhenAWriteHasSentAll) {
  Stream stream = make_stream(pair, {.write_high_water = 100, .write_low_water = 0});
  bool drained = false;
  stream.on_drained([&] { drained = true; });
  EXPECT_FALSE(stream.write(std::string_view{std::string(200, 'a')}));
  EXPECT_TRUE(stream.write(std::string(5000, 'b')));
  EXPECT_EQ(received_by(pair.peer, 5200).size(), 5200U);
  EXPECT_TRUE(run_until(reactor(), [&] { return drained; }));
  EXPECT_TRUE(stream.write("c"));
}

TEST_P(Streams, RefuseWhatIsMoreThanMayWait) {
  Stream stream =
      make_stream(pair, {.write_high_water = 1000, .write_low_water = 0, .write_limit = 1000});
  std::error_code error;
  stream.write(std::string(1001, 'x'), error);
  EXPECT_EQ(error, std::errc::no_buffer_space);
  EXPECT_EQ(stream.unsent(), 0U);
  EXPECT_TRUE(stream.write(std::string(1000, 'x'), error));
  EXPECT_FALSE(error);
  stream.write(as_bytes("x"), error);
  EXPECT_EQ(error, std::errc::no_buffer_space);
  EXPECT_EQ(received_by(pair.peer, 1000), std::string(1000, 'x'));
}

TEST_P(Streams, RefuseMarksThatMakeNoSense) {
  std::error_code error;
  Stream{reactor(), UniqueHandle{pair.local.release()},
         StreamOptions{.write_high_water = 1, .write_low_water = 2}, error};
  EXPECT_EQ(error, std::errc::invalid_argument);
}

// The end.

TEST_P(Streams, EndTheirSideWhenAllHasBeenSent) {
  Stream stream = make_stream(pair);
  const std::string text = much();
  stream.write(text);
  stream.shutdown_write();
  std::error_code error;
  stream.write("x", error);
  EXPECT_EQ(error, std::errc::broken_pipe);
  EXPECT_TRUE(received_by(pair.peer, text.size()) == text);
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(story.is("abc"));
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("[end_of_stream hangup]"));
  EXPECT_FALSE(stream);
}

TEST_P(Streams, AnswerWhatCameBeforeTheEndAndCloseByThemselves) {
  Stream stream = make_silent_stream(pair.local);
  stream.on_data([](Stream& self, Bytes bytes) { self.write(bytes); });
  stream.detach();
  EXPECT_FALSE(stream);
  write_bytes(pair.peer, "abc");
  shutdown_write(pair.peer);
  EXPECT_EQ(received_by(pair.peer, 3), "abc");
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  EXPECT_EQ(reactor().run(), 0U);  // nothing is left
}

TEST_P(Streams, SendAllBeforeTheyClose) {
  Stream stream = make_stream(pair);
  const std::string text = much();
  stream.write(text);
  write_bytes(pair.peer, "nobody reads this");
  stream.close();
  EXPECT_FALSE(stream);
  std::error_code error;
  stream.write("x", error);
  EXPECT_EQ(error, Errc::stream_closed);
  EXPECT_TRUE(received_by(pair.peer, text.size()) == text);
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  EXPECT_TRUE(story.is(""));
  pair.peer.close();
  EXPECT_TRUE(story.is("[hangup]"));
  EXPECT_EQ(stream.native_handle(), no_handle);
}

TEST_P(Streams, SayNothingOfAFailureOnceTheyAreBeingClosed) {
  Stream stream = make_stream(pair);
  stream.write("left unread by the peer");
  settle(reactor());
  stream.close();
  reset_connection(pair.peer);
  EXPECT_TRUE(story.is("[hangup]"));
  EXPECT_FALSE(story.error);
}

TEST_P(Streams, DeliverNothingAfterAbortAlsoIfTheyWereClosedBefore) {
  const auto capture = std::make_shared<int>(1);
  Stream stream = make_stream(pair);
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("[end_of_stream]"));
  stream.on_data([capture](Bytes) {});
  stream.close();
  stream.abort();
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_TRUE(story.is(""));
}

TEST_P(Streams, CloseAlthoughThePeerDoesNotRead) {
  Stream stream = make_stream(pair, {.close_timeout = 20ms});
  stream.write(much());
  stream.close();
  EXPECT_TRUE(story.is("[hangup]"));
}

TEST_P(Streams, CloseAlthoughThePeerDoesNotEnd) {
  Stream stream = make_stream(pair, {.close_timeout = 20ms});
  stream.write("abc");
  stream.close();
  EXPECT_EQ(received_by(pair.peer, 3), "abc");
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  EXPECT_TRUE(story.is("[hangup]"));
}

TEST_P(Streams, GoOnSendingWhenTheirOwnerHasGone) {
  const std::string text = much();
  {
    Stream stream = make_stream(pair);
    stream.write(text);
  }
  EXPECT_TRUE(received_by(pair.peer, text.size()) == text);
  EXPECT_TRUE(peer_gets_the_end(pair.peer));
  pair.peer.close();
  reactor().run();
  EXPECT_EQ(story.text, "");
}

TEST_P(Streams, AreResetByAbort) {
  Stream stream = make_stream(pair);
  stream.write("abc");
  stream.abort();
  EXPECT_FALSE(stream);
  long last = 0;
  EXPECT_EQ(received_by(pair.peer, 1, &last), "");
  EXPECT_TRUE(peer_is_cut_off(last));
  EXPECT_TRUE(story.is(""));
}

TEST_P(Streams, AreResetWhenAllHasArrived) {
  Stream stream = make_stream(pair);
  const std::string all = much();
  stream.write(all);
  stream.abort_when_sent();
  EXPECT_FALSE(stream);
  settle(reactor());
  EXPECT_NE(stream.native_handle(), no_handle);
  long last = 0;
  const std::string got = received_by(pair.peer, std::string::npos, &last);
  EXPECT_TRUE(all.starts_with(got));
  EXPECT_TRUE(got.size() == all.size() || !system_facts().unacknowledged_bytes_show) << got.size();
  EXPECT_TRUE(peer_is_cut_off(last));
  EXPECT_TRUE(story.is("[hangup]"));
}

TEST_P(Streams, AreResetWhenNothingArrives) {
  Stream stream = make_stream(pair, {.close_timeout = 1ms});
  stream.write(much());
  stream.abort_when_sent();
  EXPECT_TRUE(story.is("[hangup]"));
  EXPECT_EQ(stream.native_handle(), no_handle);
}

TEST_P(Streams, DeliverTheBytesBeforeAResetAndThenTheError) {
  Stream stream = make_stream(pair);
  write_bytes(pair.peer, "abc");
  reset_by_peer(stream);
  EXPECT_TRUE(story.is("abc[error hangup]"));
  EXPECT_EQ(story.error, std::errc::connection_reset);
}

TEST_P(Streams, AnswerAWriteToAConnectionThatHasFailedWithItsError) {
  for (const bool paused : {false, true}) {
    pair = make_pair(kind());
    Stream stream = make_stream(pair);
    if (paused) stream.pause();
    reset_by_peer(stream);
    std::error_code error;
    stream.write(std::string(5000, 'x'), error);  // which takes the error out of the kernel
    EXPECT_FALSE(error);
    EXPECT_TRUE(story.is("[error hangup]")) << paused;
    EXPECT_TRUE(story.error == std::errc::connection_reset || story.error == std::errc::broken_pipe)
        << story.error.message();
  }
}

TEST_P(Streams, SayNothingOfThePeersEndIfAResetWasTheAnswerToTheirWrite) {
  Stream stream = make_stream(pair, {.peer_closed = true});
  reset_by_peer(stream);
  stream.write(std::string(5000, 'x'));  // which takes the error out of the kernel
  EXPECT_TRUE(story.is("[error hangup]"));
}

TEST_P(Streams, SayNothingButTheFailureWhilePaused) {
  Stream stream = make_stream(pair);
  stream.pause();
  shutdown_write(pair.peer);
  reset_connection(pair.peer);
  stream.write(std::string(5000, 'x'));
  EXPECT_TRUE(story.is("[error hangup]"));  // rule 5
  EXPECT_EQ(story.error, error_behind_a_fin());
}

TEST_P(Streams, FailWhenNothingMovesForTooLong) {
  Stream stream = make_stream(pair, {.idle_timeout = 10ms});
  EXPECT_TRUE(story.is("[error hangup]"));
  EXPECT_EQ(story.error, std::errc::timed_out);
}

TEST_P(Streams, FailWhenOneSideHasEndedForTooLong) {
  Stream stream = make_stream(pair, {.half_closed_timeout = 10ms});
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("[end_of_stream][error hangup]"));
  EXPECT_EQ(story.error, std::errc::timed_out);
}

TEST_P(Streams, MayBeDestroyedByEachOfTheirHandlers) {
  std::optional<Stream> stream;
  const auto destroys = [&](const std::shared_ptr<int>& capture) {
    return [&stream, capture](auto&&...) {
      stream.reset();
      EXPECT_EQ(*capture, 1);  // still there
    };
  };
  const auto capture = std::make_shared<int>(1);
  const auto play = [&](auto set, auto happens) {
    pair = make_pair(kind());
    stream.emplace(make_silent_stream(pair.local, {.write_high_water = 1, .write_low_water = 0}));
    set();
    happens();
    run_until(reactor(), [&] {
      drain(pair.peer);
      return !stream.has_value();
    });
    EXPECT_FALSE(stream.has_value());
    pair.peer.close();
    reactor().run();
    EXPECT_EQ(capture.use_count(), 1);
  };
  play([&] { stream->on_data(destroys(capture)); }, [&] { write_bytes(pair.peer, "abc"); });
  play(
      [&] {
        story.keep_data(*stream);
        stream->on_event(destroys(capture));
      },
      [&] { shutdown_write(pair.peer); });
  play([&] { stream->on_drained(destroys(capture)); }, [&] { stream->write(much()); });
}

TEST_P(Streams, AreGivenToTheirHandlers) {
  Stream stream = make_stream(pair);
  stream.on_data([&](Stream& self, Bytes bytes) {
    story.text += as_text(bytes);
    const Stream nothing = std::move(self);  // it owns nothing
    EXPECT_FALSE(nothing);
  });
  Stream moved = std::move(stream);
  write_bytes(pair.peer, "a");
  EXPECT_TRUE(story.is("a"));
  EXPECT_FALSE(stream);
  EXPECT_TRUE(moved);
  write_bytes(pair.peer, "b");
  EXPECT_TRUE(story.is("b"));
}

TEST_P(Streams, OutliveTheirReactor) {
  std::optional<Reactor> other{std::in_place, make_contestant(backend())};
  Stream stream{*other, UniqueHandle{pair.local.release()}};
  stream.write("abc");
  other.reset();
  EXPECT_FALSE(stream);
  std::error_code error;
  stream.write("x", error);
  EXPECT_EQ(error, Errc::reactor_closed);
  stream.resume();
  stream.shutdown_write();
  stream.close();
}

POLLUX_ON_EACH_KIND(Streams, sockets);

class StreamsWithUrgentBytes : public Streams {};

TEST_P(StreamsWithUrgentBytes, DeliverWhatIsAroundThem) {
  Stream stream = make_stream(pair);
  write_bytes(pair.peer, "abc");
  EXPECT_EQ(write_urgent(pair.peer), 1);
  write_bytes(pair.peer, "def");
  EXPECT_TRUE(story.is("abcdef"));
  EXPECT_TRUE(sleeps());
  EXPECT_EQ(write_urgent(pair.peer), 1);
  EXPECT_TRUE(story.is(""));
  EXPECT_TRUE(sleeps());
  write_bytes(pair.peer, "ghi");
  shutdown_write(pair.peer);
  EXPECT_TRUE(story.is("ghi[end_of_stream]"));
}

POLLUX_ON_EACH_KIND(StreamsWithUrgentBytes, with_urgent_bytes());

class PipeStreams : public Streams {};

TEST_P(PipeStreams, DeliverTheBytesAndThenTheEndOfBoth) {
  Stream stream = make_stream(pair);
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  EXPECT_TRUE(story.is("abc[end_of_stream hangup]"));
}

TEST_P(PipeStreams, SendAllAndEndIt) {
  Stream writer = make_silent_stream(pair.peer);
  story.keep_events(writer);
  const std::string text = much();
  writer.write(text);
  writer.shutdown_write();
  EXPECT_TRUE(received_by(pair.local, text.size()) == text);
  EXPECT_TRUE(peer_gets_the_end(pair.local));
  EXPECT_TRUE(story.is("[hangup]"));
}

TEST_P(PipeStreams, SendAllBeforeTheyAreGivenUp) {
  Stream writer = make_silent_stream(pair.peer);
  story.keep_events(writer);
  const std::string text = much();
  writer.write(text);
  writer.abort_when_sent();
  EXPECT_TRUE(received_by(pair.local, text.size()) == text);
  EXPECT_TRUE(peer_gets_the_end(pair.local));
  EXPECT_TRUE(story.is("[hangup]"));
}

TEST_P(PipeStreams, ReadNothingWhereThereIsNothingToRead) {
  Stream writer = make_silent_stream(pair.peer);
  writer.pause();
  EXPECT_TRUE(writer.read(1).empty());
  EXPECT_TRUE(writer.write("abc"));
  EXPECT_EQ(received_by(pair.local, 3), "abc");
}

TEST_P(PipeStreams, FailAWriteThatNobodyWillRead) {
  Stream writer = make_silent_stream(pair.peer);
  story.keep_events(writer);
  pair.local.close();
  writer.write(std::string(5000, 'x'));  // and no SIGPIPE ends the test
  EXPECT_TRUE(story.is("[error hangup]"));
  EXPECT_EQ(story.error, std::errc::broken_pipe);
}

POLLUX_ON_EACH_KIND(PipeStreams, pipes);

class HalfReadStreams : public Streams {};

TEST_P(HalfReadStreams, FailWhenThePeerReadsNoMore) {
  Stream stream = make_stream(pair);
  shutdown_read(pair.peer);
  write_bytes(pair.peer, "abc");
  stream.write(std::string(5000, 'x'));
  EXPECT_TRUE(story.is("abc[error hangup]"));
  EXPECT_EQ(story.error, std::errc::broken_pipe);
}

TEST_P(HalfReadStreams, DeliverTheBytesAndTheEndBeforeTheFailureOfAWrite) {
  Stream stream = make_stream(pair);
  write_bytes(pair.peer, "abc");
  pair.peer.close();
  stream.write(std::string(5000, 'x'));
  EXPECT_TRUE(story.is("abc[end_of_stream error hangup]"));
  EXPECT_EQ(story.error, std::errc::broken_pipe);
}

POLLUX_ON_EACH_KIND(HalfReadStreams, unix_streams);

}  // namespace
}  // namespace pollux::conformance
