// SPDX-License-Identifier: MIT
// Rule 9: pipes. Reading end, writer gone: bytes, end_of_stream, hangup. Writing end, reader gone:
// error(broken_pipe) + hangup. Goal: both ends, full and empty, FIFOs too; and terminals, the other
// kind of stream that is no socket.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "conformance/kit/kit.hpp"
#include "conformance/support/emulator.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

class Pipes : public OnEachKind {};

TEST_P(Pipes, TheReadingEndReceivesBytesThenTheEndAndHangup) {
  before_and_after(
      Interest::readable,
      [](Pair& pair) {
        write_bytes(pair.peer, "abc");
        pair.peer.close();
      },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "readable"));
        EXPECT_EQ(drain(pair.local), 3u);
        EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
      });
}

TEST_P(Pipes, TheWritingEndLearnsOfALostReaderWithEveryInterest) {
  for (const bool full : {false, true}) {
    for (const Interest interest :
         {Interest::none, Interest::writable, Interest::readable,
          Interest::readable | Interest::writable | Interest::peer_closed}) {
      SCOPED_TRACE(to_string(interest) + (full ? ", full" : ", empty"));
      for (const bool before : {true, false}) {
        auto [reader, writer] = make_pair(kind());
        if (full) fill(writer);
        if (!before) reader.close();
        Recorder local{reactor(), writer, interest};
        if (before) {
          EXPECT_TRUE(
              delivers(local, any(interest, Interest::writable) && !full ? "writable" : ""));
        }
        reader.close();
        EXPECT_TRUE(delivers(local, "error hangup", std::errc::broken_pipe));
      }
    }
  }
}

TEST_P(Pipes, TheWritingEndIsWritableWhenThereIsRoom) {
  const auto [reader, writer] = make_pair(kind());
  Recorder local{reactor(), writer, Interest::writable};
  EXPECT_TRUE(delivers(local, "writable"));
  fill(writer);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  drain(reader);
  EXPECT_TRUE(delivers(local, "writable"));
}

TEST_P(Pipes, AReadingEndWithoutAWriterForTheMomentReceivesNothingWhileOneIsLeft) {
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  Handle second_writer = duplicate(pair.peer);
  pair.peer.close();
  EXPECT_TRUE(delivers_nothing(local));
  write_bytes(second_writer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(pair.local), 3u);
  second_writer.close();
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
}

TEST_P(Pipes, TheIdleLoopSleepsAfterALostReader) {
  for (const Interest interest : {Interest::none, Interest::writable}) {
    auto [reader, writer] = make_pair(kind());
    Recorder local{reactor(), writer, interest};
    reader.close();
    EXPECT_TRUE(delivers(local, "error hangup", std::errc::broken_pipe));
    EXPECT_TRUE(sleeps());
  }
}

POLLUX_ON_EACH_KIND(Pipes, pipes);

class Fifos : public OnEachBackend {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pollux-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::system_error{errno, std::system_category(), "mkdtemp"};
    directory_ = name;
    if (::mkfifo(fifo().c_str(), 0600) != 0)
      throw std::system_error{errno, std::system_category(), "mkfifo"};
    OnEachBackend::SetUp();
  }
  void TearDown() override {
    OnEachBackend::TearDown();
    std::filesystem::remove_all(directory_);
  }
  std::string fifo() const { return directory_ / "fifo"; }
  Handle open_fifo(int access) const {
    Handle opened{::open(fifo().c_str(), access | O_NONBLOCK | O_CLOEXEC)};
    if (!opened) throw std::system_error{errno, std::system_category(), "open"};
    return opened;
  }

 private:
  std::filesystem::path directory_;
};

TEST_P(Fifos, AReaderThatWaitsForItsFirstWriterReceivesNothing) {
  const Handle reader = open_fifo(O_RDONLY);
  Recorder local{reactor(), reader, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
  Handle writer = open_fifo(O_WRONLY);
  EXPECT_TRUE(delivers_nothing(local));
  write_bytes(writer, "abc");
  writer.close();
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(drain(reader), 3u);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
}

TEST_P(Fifos, AWriterLearnsOfALostReader) {
  Handle reader = open_fifo(O_RDONLY);
  const Handle writer = open_fifo(O_WRONLY);
  Recorder local{reactor(), writer, Interest::none};
  EXPECT_TRUE(delivers_nothing(local));
  reader.close();
  EXPECT_TRUE(delivers(local, "error hangup", std::errc::broken_pipe));
}

TEST_P(Fifos, OpenedForBothDirectionsAreReadAndWrittenByOne) {
  const Handle both = open_fifo(O_RDWR);
  Recorder local{reactor(), both, Interest::readable};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(sleeps());
    write_bytes(both, "abc");
    EXPECT_EQ(drain(both), 3u);
    EXPECT_TRUE(delivers_nothing(local));
    local.watch.set_interest(Interest::none);
    EXPECT_TRUE(sleeps());
    write_bytes(both, "abc");
    EXPECT_TRUE(delivers_nothing(local));
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(drain(both), 3u);
  }
}

POLLUX_ON_EACH_BACKEND(Fifos);

/// A pseudo-terminal without line editing: its master, and the terminal that a program would have.
class Terminals : public OnEachBackend {
 protected:
  static Pair make_terminal() {
    Handle master = open_master();
    char name[128];
    if (::ptsname_r(master.get(), name, sizeof name) != 0)
      throw std::system_error{errno, std::system_category(), "ptsname"};
    Handle terminal{::open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
    termios settings{};
    if (!terminal || ::tcgetattr(terminal.get(), &settings) != 0)
      throw std::system_error{errno, std::system_category(), "open"};
    ::cfmakeraw(&settings);
    ::tcsetattr(terminal.get(), TCSANOW, &settings);
    return {std::move(terminal), std::move(master)};
  }

  /// With the line editing that a user's terminal has: Ctrl-D is the end.
  static Pair make_terminal_with_lines() {
    Pair pair = make_terminal();
    termios settings{};
    ::tcgetattr(pair.local.get(), &settings);
    settings.c_lflag |= ICANON;
    settings.c_cc[VEOF] = 4;
    ::tcsetattr(pair.local.get(), TCSANOW, &settings);
    return pair;
  }
};

TEST_P(Terminals, AreReadableForAsLongAsAByteIsThere) {
  const Pair pair = make_terminal();
  Recorder local{reactor(), pair.local, Interest::readable};
  EXPECT_TRUE(delivers_nothing(local));
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 3);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(Terminals, AreWritable) {
  const Pair pair = make_terminal();
  Recorder local{reactor(), pair.local, Interest::writable};
  EXPECT_TRUE(delivers(local, "writable"));
}

TEST_P(Terminals, MayBeSetOtherwiseUnderTheirWatch) {
  // That wakes whoever waits, for nothing.
  const Pair pair = make_terminal();
  Recorder local{reactor(), pair.local, Interest::readable};
  termios settings{};
  ASSERT_EQ(::tcgetattr(pair.local.get(), &settings), 0);
  for (const Interest next : {Interest::readable, Interest::none, Interest::peer_closed}) {
    SCOPED_TRACE(to_string(next));
    EXPECT_TRUE(sleeps());
    ASSERT_EQ(::tcsetattr(pair.local.get(), TCSANOW, &settings), 0);
    EXPECT_TRUE(delivers_nothing(local));
    ASSERT_EQ(::tcsetattr(pair.local.get(), TCSANOW, &settings), 0);
    local.watch.set_interest(next);
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local), 3);
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Terminals, MayBeReadAndWrittenOutsideOfTheLoop) {
  const Pair pair = make_terminal();
  Recorder local{reactor(), pair.local, Interest::readable};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(sleeps());
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(read_bytes(pair.local), 3);
    write_bytes(pair.local, "abc");
    EXPECT_EQ(read_bytes(pair.peer), 3);
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(Interest::readable | Interest::writable);
    EXPECT_TRUE(delivers(local, "writable"));
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(sleeps());
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local), 3);
  }
}

TEST_P(Terminals, EndWithHangupWhenTheirMasterIsGone) {
  for (const Interest interest : {Interest::readable, Interest::none, Interest::writable}) {
    SCOPED_TRACE(to_string(interest));
    Pair pair = make_terminal();
    Recorder local{reactor(), pair.local, interest};
    local.ignore(Event::writable);
    EXPECT_TRUE(delivers_nothing(local));
    pair.peer.close();
    EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
    EXPECT_TRUE(sleeps());
  }
}

TEST_P(Terminals, TheMasterReceivesBytesThenTheEndAndHangupWhenTheTerminalIsClosed) {
  Pair pair = make_terminal();
  Recorder master{reactor(), pair.peer, Interest::readable};
  write_bytes(pair.local, "abc");
  pair.local.close();
  EXPECT_TRUE(delivers(master, "readable"));
  EXPECT_EQ(read_bytes(pair.peer), 3);
  EXPECT_TRUE(delivers(master, "end_of_stream hangup"));
  EXPECT_TRUE(sleeps());
}

TEST_P(Terminals, EndWhenTheirUserTypesTheEnd) {
  const Pair pair = make_terminal_with_lines();
  Recorder local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "abc\n");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 4);
  write_bytes(pair.peer, "\004");
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  EXPECT_TRUE(sleeps());
}

TEST_P(Terminals, HaveALineThatIsEndedByTheEndInstead) {
  const Pair pair = make_terminal_with_lines();
  Recorder local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "abc\004");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 3);
  EXPECT_TRUE(delivers_nothing(local)) << "only a line was ended";
  write_bytes(pair.peer, "def\n");
  EXPECT_TRUE(delivers(local, "readable"));
}

TEST_P(Terminals, AreReadableAtATypedEndBehindWhichALineFollows) {
  const Pair pair = make_terminal_with_lines();
  Recorder local{reactor(), pair.local, Interest::readable};
  write_bytes(pair.peer, "\004abc\n");
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 0) << "the read tells the end; no other call does";
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair.local), 4);
  EXPECT_TRUE(delivers_nothing(local));
}

POLLUX_ON_EACH_BACKEND(Terminals);

/// A master whose reads begin with a byte of control: what has been done to the terminal.
class PacketMode : public Terminals {
 protected:
  void SetUp() override {
    Terminals::SetUp();
    POLLUX_NEEDS("TIOCGPKT", shows_packet_mode());
  }

  static Pair make_packet_terminal() {
    Pair pair = make_terminal();
    const int on = 1;
    EXPECT_EQ(::ioctl(pair.peer.get(), TIOCPKT, &on), 0);
    return pair;
  }
  /// Reads one packet: whether it was of control, and nothing else.
  static bool reads_control(const Handle& master) {
    char packet[16] = {};
    return ::read(master.get(), packet, sizeof packet) == 1 && packet[0] != TIOCPKT_DATA;
  }
};

TEST_P(PacketMode, HasControlToReadAndTheOutputBehindIt) {
  const Pair pair = make_packet_terminal();
  Recorder master{reactor(), pair.peer, Interest::readable};
  EXPECT_TRUE(delivers_nothing(master));
  ::tcflush(pair.local.get(), TCOFLUSH);
  EXPECT_TRUE(delivers(master, "readable"));
  EXPECT_TRUE(reads_control(pair.peer));
  EXPECT_TRUE(delivers_nothing(master));
  EXPECT_TRUE(sleeps());
  write_bytes(pair.local, "abc");
  EXPECT_TRUE(delivers(master, "readable"));
  EXPECT_EQ(read_bytes(pair.peer), 4);
  EXPECT_TRUE(sleeps());
}

TEST_P(PacketMode, HasControlToReadBeforeTheTerminalIsGone) {
  Pair pair = make_packet_terminal();
  Recorder master{reactor(), pair.peer, Interest::readable};
  ::tcflush(pair.local.get(), TCOFLUSH);
  pair.local.close();
  EXPECT_TRUE(delivers(master, "readable"));
  EXPECT_TRUE(reads_control(pair.peer));
  EXPECT_TRUE(delivers(master, "end_of_stream hangup"));
}

POLLUX_ON_EACH_BACKEND(PacketMode);

}  // namespace
}  // namespace pollux::conformance
