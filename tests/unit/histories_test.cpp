// SPDX-License-Identifier: MIT
// "How both kinds of backend get there" (docs/contract.md): what each history of a stream looks
// like to a backend that is told everything and to one that must look, and that both end in the
// same story.
#include <array>
#include <cerrno>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/stream_lifecycle.hpp"

namespace pollux::detail {

namespace {

constexpr RawReady in = RawReady::in;
constexpr RawReady out = RawReady::out;
constexpr RawReady rdhup = RawReady::rdhup;
constexpr RawReady hup = RawReady::hup;
constexpr RawReady err = RawReady::err;
constexpr StreamKind socket = StreamKind::socket;

/// A failure's code, and who is told it. Whoever is told takes it away.
struct Code {
  int number = 0;
  bool in_so_error = true;  ///< else every peek says it anew
};

/// One row: what the watching side sees once it has happened.
struct History {
  std::string_view name;
  StreamKind kind;
  RawReady native;    ///< epoll
  RawReady emulated;  ///< a poll() without RDHUP
  Inbound inbound;    ///< what a look finds
  Inbound then;       ///< and after the bytes have been read
  Outbound outbound;  ///< what a zero send finds
  PeerFin peer_fin;   ///< what the protocol's state says
  Code code;
  std::string_view reading;  ///< the story, one call of the handler after another
  std::string_view paused;
  Standing standing = Standing::doubtful;  ///< whether the protocol's state says that it goes on
};

std::ostream& operator<<(std::ostream& to, const History& history) {
  return to << history.name;
}

constexpr auto no_fin = PeerFin::not_received;
constexpr auto fin = PeerFin::received;
constexpr auto closed = PeerFin::closed;
constexpr auto af_unix = PeerFin::untellable;

constexpr History histories[] = {
    {"Idle", socket, out, out, Inbound::empty, {}, Outbound::open, no_fin, {}, "", ""},
    {"PeerData",
     socket,
     in | out,
     in | out,
     Inbound::bytes,
     Inbound::empty,
     Outbound::open,
     no_fin,
     {},
     "readable",
     ""},
    {"PeerHalfCloses",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::end,
     {},
     Outbound::open,
     fin,
     {},
     "end_of_stream",
     ""},
    {"PeerHalfClosesOnUnix",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::end,
     {},
     Outbound::open,
     af_unix,
     {},
     "end_of_stream",
     ""},
    {"PeerDataAndHalfClose",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::bytes,
     Inbound::end,
     Outbound::open,
     fin,
     {},
     "readable, end_of_stream",
     ""},
    {"PeerDataAndHalfCloseOnUnix",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::bytes,
     Inbound::end,
     Outbound::open,
     af_unix,
     {},
     "readable, end_of_stream",
     ""},
    {"PeerClosesOnUnix",
     socket,
     in | out | hup | rdhup,
     in | out | hup,
     Inbound::end,
     {},
     Outbound::both,
     af_unix,
     {},
     "end_of_stream hangup",
     "end_of_stream hangup"},
    {"PeerDataAndCloseOnUnix",
     socket,
     in | out | hup | rdhup,
     in | out | hup,
     Inbound::bytes,
     Inbound::end,
     Outbound::both,
     af_unix,
     {},
     "readable, end_of_stream hangup",
     ""},
    {"PeerResets",
     socket,
     in | out | err | hup | rdhup,
     in | out | err | hup,
     Inbound::failed,
     {},
     Outbound::both,
     closed,
     {ECONNRESET},
     "error hangup",
     "error hangup"},
    {"PeerDataAndReset",
     socket,
     in | out | err | hup | rdhup,
     in | out | err | hup,
     Inbound::bytes,
     Inbound::failed,
     Outbound::failed,
     closed,
     {ECONNRESET},
     "readable, error hangup",
     "error hangup"},
    {"PeerHalfClosesThenResets",
     socket,
     in | out | err | hup | rdhup,
     in | out | err | hup,
     Inbound::end,
     {},
     Outbound::both,
     closed,
     {EPIPE},
     "end_of_stream error hangup",
     "error hangup"},
    {"PeerDataHalfCloseThenReset",
     socket,
     in | out | err | hup | rdhup,
     in | out | err | hup,
     Inbound::bytes,
     Inbound::end,
     Outbound::both,
     closed,
     {EPIPE},
     "readable, end_of_stream error hangup",
     "error hangup"},
    {"OwnShutRd",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::end,
     {},
     Outbound::open,
     no_fin,
     {},
     "end_of_stream",
     ""},
    {"OwnShutRdBehindData",
     socket,
     in | out | rdhup,
     in | out,
     Inbound::bytes,
     Inbound::end,
     Outbound::open,
     no_fin,
     {},
     "readable, end_of_stream",
     ""},
    {"OwnShutWr", socket, out, out, Inbound::empty, {}, Outbound::over, no_fin, {}, "", ""},
    {"OwnShutRdWr",
     socket,
     in | out | hup | rdhup,
     in | out | hup,
     Inbound::end,
     {},
     Outbound::both,
     no_fin,
     {},
     "end_of_stream hangup",
     "end_of_stream hangup"},
    {"OwnShutWrAndPeerFin",
     socket,
     in | out | hup | rdhup,
     in | out | hup,
     Inbound::end,
     {},
     Outbound::both,
     fin,
     {},
     "end_of_stream hangup",
     "end_of_stream hangup"},
    {"OwnShutWrPeerDataAndPeerFin",
     socket,
     in | out | hup | rdhup,
     in | out | hup,
     Inbound::bytes,
     Inbound::end,
     Outbound::both,
     fin,
     {},
     "readable, end_of_stream hangup",
     ""},
    {"PeerShutRdOnUnix", socket, out, out, Inbound::empty, {}, Outbound::over, af_unix, {}, "", ""},
    {"ConnectRefused",
     socket,
     in | out | err | hup | rdhup,
     in | out | err | hup,
     Inbound::failed,
     {},
     Outbound::both,
     closed,
     {ECONNREFUSED},
     "error hangup",
     "error hangup"},
    {"ConnectUnreachable",
     socket,
     err,
     err,
     Inbound::empty,
     {},
     Outbound::open,
     no_fin,
     {EHOSTUNREACH},
     "error hangup",
     "error hangup"},
    {"Unconnected",
     socket,
     out | hup,
     out | hup,
     Inbound::failed,
     {},
     Outbound::both,
     closed,
     {ENOTCONN, false},
     "error hangup",
     "error hangup"},
    {"NoticeInTheErrorQueue",
     socket,
     out | err,
     out | err,
     Inbound::empty,
     {},
     Outbound::open,
     no_fin,
     {},
     "",
     ""},
    {"NoticeInTheErrorQueueBehindData",
     socket,
     in | out | err,
     in | out | err,
     Inbound::bytes,
     Inbound::empty,
     Outbound::open,
     no_fin,
     {},
     "readable",
     ""},
    // What a router says of a packet is told to who asks for it (IP_RECVERR), by a code in
    // SO_ERROR.
    {"IcmpAnswerOnAConnection",
     socket,
     out | err,
     out | err,
     Inbound::empty,
     {},
     Outbound::open,
     no_fin,
     {EHOSTUNREACH},
     "",
     "",
     Standing::good},
    {"IcmpAnswerBehindData",
     socket,
     in | out | err,
     in | out | err,
     Inbound::bytes,
     Inbound::empty,
     Outbound::open,
     no_fin,
     {EHOSTUNREACH},
     "readable",
     "",
     Standing::good},
    {"IcmpAnswerAndHalfClose",
     socket,
     in | out | err | rdhup,
     in | out | err,
     Inbound::end,
     {},
     Outbound::open,
     fin,
     {EHOSTUNREACH},
     "end_of_stream",
     "",
     Standing::good},
    {"PipeDataAndWriterGone",
     StreamKind::pipe_reader,
     in | hup,
     in | hup,
     Inbound::bytes,
     Inbound::end,
     {},
     {},
     {},
     "readable, end_of_stream hangup",
     ""},
    {"PipeDrainedAndWriterGone",
     StreamKind::pipe_reader,
     hup,
     hup,
     Inbound::end,
     {},
     {},
     {},
     {},
     "end_of_stream hangup",
     "end_of_stream hangup"},
    {"PipeReaderGone",
     StreamKind::pipe_writer,
     out | err,
     out | err,
     {},
     {},
     {},
     {},
     {EPIPE},
     "error hangup",
     "error hangup"},
    {"FullPipeReaderGone",
     StreamKind::pipe_writer,
     err,
     err,
     {},
     {},
     {},
     {},
     {EPIPE},
     "error hangup",
     "error hangup"},
    {"TerminalHungUp",
     StreamKind::terminal,
     in | hup,
     in | hup,
     Inbound::end,
     {},
     {},
     {},
     {},
     "end_of_stream hangup",
     "end_of_stream hangup"},
    {"TerminalEndTyped",
     StreamKind::terminal,
     in | out,
     in | out,
     Inbound::end,
     {},
     {},
     {},
     {},
     "end_of_stream",
     ""},
    // Where a foreign poll() says HUP for less, or nothing but HUP for a reset: the story is the
    // same.
    {"PeerHalfClosesOnMacOs",
     socket,
     in | out | rdhup,
     in | out | hup,
     Inbound::end,
     {},
     Outbound::open,
     fin,
     {},
     "end_of_stream",
     ""},
    {"PeerDataAndHalfCloseOnMacOs",
     socket,
     in | out | rdhup,
     in | out | hup,
     Inbound::bytes,
     Inbound::end,
     Outbound::open,
     fin,
     {},
     "readable, end_of_stream",
     ""},
    {"PeerResetsOnMacOs",
     socket,
     in | out | err | hup | rdhup,
     in | out | hup,
     Inbound::failed,
     {},
     Outbound::both,
     closed,
     {ECONNRESET},
     "error hangup",
     "error hangup"},
    {"PeerDataAndResetOnMacOs",
     socket,
     in | out | err | hup | rdhup,
     in | out | hup,
     Inbound::bytes,
     Inbound::failed,
     Outbound::failed,
     closed,
     {ECONNRESET},
     "readable, error hangup",
     "error hangup"},
};

/// What a watch has been delivered, a call of the handler each.
struct Story {
  std::vector<std::string> calls;  ///< all but peer_closed, whose place may differ
  int peer_closed = 0;

  void add(Event events) {
    if (any(events, Event::peer_closed)) ++peer_closed;
    const auto others = static_cast<Event>(static_cast<unsigned>(events) &
                                           ~static_cast<unsigned>(Event::peer_closed));
    if (others != Event::none) calls.push_back(to_string(others));
  }
  std::string text() const {
    std::string joined;
    for (const std::string& call : calls) joined += (joined.empty() ? "" : ", ") + call;
    return joined;
  }
};

/// What a backend can be believed on.
enum class Backend : std::uint8_t {
  native,
  emulated,
  only_asked,  ///< emulated, and told nothing of a registration that asks for nothing
};
constexpr std::array all_backends{Backend::native, Backend::emulated, Backend::only_asked};
constexpr std::array emulating_backends{Backend::emulated, Backend::only_asked};

std::ostream& operator<<(std::ostream& to, Backend backend) {
  constexpr std::array names{"native", "emulated", "only_asked"};
  return to << names[static_cast<std::size_t>(backend)];
}

/// A stream with that history, its kernel and the part of the reactor that stands between them.
class Stream {
 public:
  Stream(const History& history, Backend backend, Interest interest)
      : history_{history},
        backend_{backend},
        traits_{history.kind, backend == Backend::native, backend == Backend::native,
                backend != Backend::only_asked},
        interest_{interest},
        inbound_{history.inbound},
        code_{history.code.number} {}

  /// Runs the loop until it rests. Whoever is told `readable` reads all; who may write writes once.
  void run(Story& story) {
    for (int turns = 0; turns < 10; ++turns) {
      const RawInterest asked = raw_interest(traits_, interest_, state_);
      Observation found{.ready = received(asked)};
      if (found.ready == RawReady::none || (any(asked, RawInterest::edge) && asked == masked_))
        return;
      masked_ = asked;
      if (state_.mask == Mask::all) state_.mask = Mask::none;
      const Event events = decide(found);
      story.add(events);
      if (any(events, Event::readable)) read_all();
      if (any(events, Event::writable)) set_interest(interest_ & ~Interest::writable);
    }
    ADD_FAILURE() << history_ << ": the loop does not come to rest";
  }

  void set_interest(Interest interest) {
    interest_ = interest;
    state_.mask = Mask::none;
    if (any(interest, Interest::readable)) state_.parked = false;
  }

 private:
  RawReady ready() const {
    RawReady bits = backend_ == Backend::native ? history_.native : history_.emulated;
    const bool drained = history_.inbound == Inbound::bytes && inbound_ != Inbound::bytes;
    const bool stays = history_.kind == StreamKind::socket && inbound_ != Inbound::empty;
    if (drained && !stays) bits = without(bits, RawReady::in);
    return bits;
  }

  RawReady received(RawInterest asked) const {
    const bool asks_nothing = asked == RawInterest::none || asked == RawInterest::hup;
    if (asked == RawInterest::none || (asks_nothing && backend_ == Backend::only_asked))
      return RawReady::none;
    RawReady bits = ready();
    if (!any(asked, RawInterest::in)) bits = without(bits, RawReady::in);
    if (!any(asked, RawInterest::out)) bits = without(bits, RawReady::out);
    if (!any(asked, RawInterest::rdhup)) bits = without(bits, RawReady::rdhup);
    return bits;
  }

  void read_all() { inbound_ = history_.then; }

  Event decide(Observation& found) {
    Decision decision;
    while ((decision = Lifecycle{traits_, interest_, state_, found}.step()).probe != Probe::none)
      answer(decision.probe, found);
    state_ = decision.state;
    if (found.error != 0 && !any(decision.events, Event::error)) kept_ = found.error;
    return decision.events;
  }

  /// As the reactor does it: a code that came too early is kept until its turn has come.
  void answer(Probe probe, Observation& found) {
    switch (probe) {
      case Probe::inbound:
        found.inbound = inbound_;
        if (inbound_ != Inbound::bytes && kept_ != 0) {
          found.inbound = Inbound::failed;
          found.error = std::exchange(kept_, 0);
        } else if (inbound_ == Inbound::failed) {
          found.error = take_code();
          if (found.error == 0) found.inbound = Inbound::end;
        }
        break;
      case Probe::outbound:
        found.outbound = history_.outbound;
        if (found.outbound == Outbound::failed) {
          const int code = take_code();
          if (code != 0)
            found.error = code;
          else
            found.outbound = Outbound::over;
        }
        break;
      case Probe::peer_fin:
        found.peer_fin = history_.peer_fin;
        break;
      case Probe::standing:
        found.standing = history_.standing;
        break;
      case Probe::error:
        found.error_known = true;
        found.error = kept_ != 0                  ? std::exchange(kept_, 0)
                      : history_.code.in_so_error ? take_code()
                                                  : 0;
        break;
      case Probe::none:
        break;
    }
  }

  int take_code() { return history_.code.in_so_error ? std::exchange(code_, 0) : code_; }

  History history_;
  Backend backend_;
  Traits traits_;
  Interest interest_;
  State state_;
  Inbound inbound_;
  int code_;
  int kept_ = 0;
  RawInterest masked_ = RawInterest::none;  ///< asked for last: an edge tells nothing twice
};

Story story_of(const History& history, Backend backend, Interest interest) {
  Story story;
  Stream{history, backend, interest}.run(story);
  return story;
}

class EveryHistory : public testing::TestWithParam<History> {};

TEST_P(EveryHistory, HasItsStoryWhileReading) {
  for (const Backend backend : all_backends)
    EXPECT_EQ(story_of(GetParam(), backend, Interest::readable).text(), GetParam().reading)
        << backend;
}

TEST_P(EveryHistory, HasItsStoryWhilePaused) {
  for (const Backend backend : all_backends)
    EXPECT_EQ(story_of(GetParam(), backend, Interest::none).text(), GetParam().paused) << backend;
}

/// Bytes are unread, nobody reads them, and no protocol state tells of what is behind them.
bool fin_is_hidden(const History& history, Interest interest) {
  return history.kind == StreamKind::socket && history.peer_fin == PeerFin::untellable &&
         history.inbound == Inbound::bytes && !any(interest, Interest::readable);
}

TEST_P(EveryHistory, IsTheSameStoryWhetherDeliveredOrFoundOut) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    const auto interest = static_cast<Interest>(bits);
    SCOPED_TRACE(to_string(interest));
    const Story native = story_of(GetParam(), Backend::native, interest);
    for (const Backend backend : emulating_backends) {
      const Story emulated = story_of(GetParam(), backend, interest);
      EXPECT_EQ(native.text(), emulated.text()) << backend;
      if (!fin_is_hidden(GetParam(), interest)) {
        EXPECT_EQ(native.peer_closed, emulated.peer_closed) << backend;
      }
    }
  }
}

TEST_P(EveryHistory, IsTheSameStoryWhenReadingResumes) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    const auto interest = static_cast<Interest>(bits) & ~Interest::readable;
    SCOPED_TRACE(to_string(interest));
    const auto paused_then_resumed = [&](Backend backend) {
      Story story;
      Stream stream{GetParam(), backend, interest};
      stream.run(story);
      stream.set_interest(interest | Interest::readable);
      stream.run(story);
      return story;
    };
    const Story native = paused_then_resumed(Backend::native);
    for (const Backend backend : emulating_backends) {
      const Story emulated = paused_then_resumed(backend);
      EXPECT_EQ(native.text(), emulated.text()) << backend;
      EXPECT_EQ(native.peer_closed, emulated.peer_closed) << backend;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryHistory, testing::ValuesIn(histories),
                         [](const auto& row) { return std::string{row.param.name}; });

TEST(PeerClosed, IsAPromiseWhereverThePeerHasSentAFin) {
  for (const History& history : histories) {
    if (history.peer_fin != PeerFin::received) continue;
    for (const Backend backend : all_backends) {
      for (const Interest reading : {Interest::none, Interest::readable}) {
        const Interest interest = Interest::peer_closed | reading;
        EXPECT_EQ(story_of(history, backend, interest).peer_closed, 1)
            << history << ' ' << backend << ' ' << to_string(interest);
      }
    }
  }
}

TEST(PeerClosed, IsNotOurOwnShutdown) {
  for (const History& history : histories) {
    if (history.peer_fin != PeerFin::not_received) continue;
    for (const Backend backend : all_backends)
      EXPECT_EQ(story_of(history, backend, Interest::peer_closed | Interest::readable).peer_closed,
                0)
          << history << ' ' << backend;
  }
}

}  // namespace

}  // namespace pollux::detail
