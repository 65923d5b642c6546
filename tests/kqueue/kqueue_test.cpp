// SPDX-License-Identifier: MIT
// The kqueue backend's own: what a kevent means, fed as the kernels make them (the sources are in
// docs/kernel-facts.md and the backend's README), and what the backend makes of errors that the
// kernel answers. The contract is conformance.cpp's.
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <ostream>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "conformance/support/pairs.hpp"
#include "kqueue/filters.hpp"
#include "kqueue/kevents.hpp"
#include "kqueue/kqueue_backend.hpp"
#include "support/bsd/kqueue.hpp"

namespace pollux {
namespace {

using namespace detail::kqueue;
using namespace support;

/// `handle`'s file under that number.
Handle duplicate_as(const Handle& handle, NativeHandle number) {
  Handle copy{::fcntl(handle.get(), F_DUPFD_CLOEXEC, number)};
  EXPECT_EQ(copy.get(), number);
  return copy;
}

void reset_by_peer(Pair& pair) {
  const linger now{1, 0};
  ::setsockopt(pair.peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  pair.peer.close();
}

Event kevent_of(short filter, unsigned flags, unsigned fflags = 0, int data = 0) {
  Event event{};
  event.filter = filter;
  event.flags = static_cast<unsigned short>(flags);
  event.fflags = fflags;
  event.data = data;
  return event;
}

constexpr auto failed = RawReady::err | RawReady::hup;

/// A state of a descriptor, the kevent that macOS and FreeBSD make of it, and what is reported.
struct Row {
  const char* state;
  Event event;
  RawInterest interest;
  bool is_other_over;  ///< the direction that this filter says nothing of
  RawReady ready;
  int error = 0;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.state;
}

constexpr auto in = RawInterest::in;
constexpr auto out = RawInterest::out;
constexpr auto hup = RawInterest::hup;

const Row rows[] = {
    {"bytes", kevent_of(EVFILT_READ, 0, 0, 3), in, false, RawReady::in},
    {"room", kevent_of(EVFILT_WRITE, 0, 0, 4096), out, false, RawReady::out},
    {"bytes, room asked for", kevent_of(EVFILT_READ, EV_CLEAR, 0, 3), out, false, RawReady::none},
    {"room, bytes asked for", kevent_of(EVFILT_WRITE, EV_CLEAR, 0, 9), in, false, RawReady::none},
    {"a full buffer on macOS, nothing asked for", kevent_of(EVFILT_READ, EV_CLEAR, 0, 131072), hup,
     false, RawReady::none},
    {"an error that waits to be taken", kevent_of(EVFILT_READ, 0), in, false, RawReady::in},
    {"FIN", kevent_of(EVFILT_READ, EV_EOF), in, false, RawReady::in},
    {"FIN behind bytes", kevent_of(EVFILT_READ, EV_EOF, 0, 3), in, false, RawReady::in},
    {"FIN, nothing asked for", kevent_of(EVFILT_READ, EV_EOF | EV_CLEAR), hup, false, RawReady::in},
    {"FIN, room asked for", kevent_of(EVFILT_READ, EV_EOF | EV_CLEAR), out, false, RawReady::in},
    {"own SHUT_RD", kevent_of(EVFILT_READ, EV_EOF), in, false, RawReady::in},
    {"own SHUT_WR", kevent_of(EVFILT_WRITE, EV_EOF, 0, 9), out, false, RawReady::out},
    {"own SHUT_WR, nothing asked for", kevent_of(EVFILT_WRITE, EV_EOF | EV_CLEAR), hup, false,
     RawReady::out},
    {"both, to read", kevent_of(EVFILT_READ, EV_EOF), in, true, RawReady::in | RawReady::hup},
    {"both, to write", kevent_of(EVFILT_WRITE, EV_EOF), out, true, RawReady::out | RawReady::hup},
    {"both, nothing asked for", kevent_of(EVFILT_READ, EV_EOF | EV_CLEAR), hup, true,
     RawReady::in | RawReady::hup},
    {"RST, to read", kevent_of(EVFILT_READ, EV_EOF, ECONNRESET), in, false, RawReady::in | failed,
     ECONNRESET},
    {"RST behind bytes", kevent_of(EVFILT_READ, EV_EOF, ECONNRESET, 3), in, false,
     RawReady::in | failed, ECONNRESET},
    {"RST, to write", kevent_of(EVFILT_WRITE, EV_EOF, ECONNRESET), out, false,
     RawReady::out | failed, ECONNRESET},
    {"RST, nothing asked for", kevent_of(EVFILT_READ, EV_EOF | EV_CLEAR, ECONNRESET), hup, false,
     RawReady::in | failed, ECONNRESET},
    {"refused", kevent_of(EVFILT_WRITE, EV_EOF, ECONNREFUSED), in | out, false,
     RawReady::out | failed, ECONNREFUSED},
    {"a pipe's writer has gone", kevent_of(EVFILT_READ, EV_EOF), in, true,
     RawReady::in | RawReady::hup},
    {"a pipe's writer has gone behind bytes", kevent_of(EVFILT_READ, EV_EOF, 0, 3), in, true,
     RawReady::in | RawReady::hup},
    {"a pipe's reader has gone", kevent_of(EVFILT_WRITE, EV_EOF), out, true,
     RawReady::out | RawReady::hup},
    {"a pipe's reader had gone before", kevent_of(EVFILT_USER, 0, NOTE_TRIGGER), out, true,
     RawReady::out | failed, EPIPE},
    {"the same, nothing asked for", kevent_of(EVFILT_USER, EV_CLEAR, NOTE_TRIGGER), hup, true,
     RawReady::out | failed, EPIPE},
    {"a filter that has outlived its registration", kevent_of(EVFILT_READ, 0, 0, 3),
     RawInterest::none, false, RawReady::in},
};

class AKevent : public testing::TestWithParam<Row> {};

TEST_P(AKevent, IsReportedInTheCoresWords) {
  const Row& row = GetParam();
  bool asked = false;
  const RawReady ready = ready_of(row.event, row.interest, [&] {
    asked = true;
    return row.is_other_over;
  });
  EXPECT_EQ(static_cast<int>(ready), static_cast<int>(row.ready));
  EXPECT_EQ(error_of(row.event), row.error);
  const bool is_plain_end = (row.event.flags & EV_EOF) != 0 && row.error == 0;
  if (!is_stand_in(row.event)) {
    EXPECT_EQ(asked, is_plain_end) << "a call to the kernel";
  }
}

INSTANTIATE_TEST_SUITE_P(, AKevent, testing::ValuesIn(rows));

TEST(KqueueFilters, SayNothingOfTheOtherDirection) {
  EXPECT_EQ(other_direction(kevent_of(EVFILT_READ, EV_EOF)), RawInterest::out);
  EXPECT_EQ(other_direction(kevent_of(EVFILT_WRITE, EV_EOF)), RawInterest::in);
}

TEST(KqueueFilters, AreArmedForWhatWasAskedAndOtherwiseForTheEnd) {
  const auto is = [](RawInterest interest, bool is_pipe, Mode read, Mode write) {
    return modes_of(interest, is_pipe) == Modes{read, write};
  };
  EXPECT_TRUE(is(RawInterest::none, false, Mode::off, Mode::off));
  EXPECT_TRUE(is(RawInterest::none, true, Mode::off, Mode::off));
  EXPECT_TRUE(is(in, false, Mode::level, Mode::off));
  EXPECT_TRUE(is(in, true, Mode::level, Mode::quiet));
  EXPECT_TRUE(is(out, false, Mode::quiet, Mode::level));
  EXPECT_TRUE(is(in | out, false, Mode::level, Mode::level));
  EXPECT_TRUE(is(hup, false, Mode::quiet, Mode::quiet));
  EXPECT_TRUE(is(hup | RawInterest::edge, false, Mode::quiet, Mode::quiet));
  EXPECT_TRUE(is(RawInterest::rdhup, false, Mode::quiet, Mode::quiet));
  EXPECT_TRUE(is(in | RawInterest::edge, false, Mode::edge, Mode::quiet));
  EXPECT_TRUE(is(in | out | RawInterest::edge, false, Mode::edge, Mode::edge));
}

TEST(KqueueFilters, SayInEachChangeHowTheyAreArmed) {
  const Event level = make_change(7, EVFILT_READ, EV_ADD, Mode::level, 5);
  EXPECT_EQ(level.ident, 7u);
  EXPECT_EQ(level.flags, EV_ADD | EV_RECEIPT);
  EXPECT_EQ(level.fflags, 0u);
  EXPECT_EQ(to_generation(level.udata), 5u);
  EXPECT_EQ(make_change(7, EVFILT_READ, EV_ADD, Mode::edge, 5).flags,
            EV_ADD | EV_CLEAR | EV_RECEIPT);
  for (const unsigned how : {unsigned{EV_ADD}, unsigned{EV_ENABLE}}) {
    const Event quiet = make_change(7, EVFILT_WRITE, how, Mode::quiet, 5);
    EXPECT_EQ(quiet.flags, how | EV_CLEAR | EV_RECEIPT);
    EXPECT_EQ(quiet.fflags, static_cast<unsigned>(NOTE_LOWAT));
    EXPECT_EQ(quiet.data, INT_MAX);
  }
  EXPECT_EQ(to_generation(to_udata<std::intptr_t>(0xFFFFFFFF)), 0xFFFFFFFF) << "as older NetBSDs";
}

class Kqueue : public testing::Test {
 protected:
  static constexpr Token token{3, 9};

  void SetUp() override {
    std::error_code error;
    backend_ = make_kqueue_backend(error);
    ASSERT_TRUE(backend_) << error.message();
  }
  std::error_code set(const Handle& handle, RawInterest from, RawInterest to) {
    return backend_->set_interest(handle.get(), from, to, token);
  }
  /// What one wait reports of the token, and nothing else.
  RawReady wait() {
    std::array<RawEvent, 8> events;
    const WaitResult result = backend_->wait(events, Timeout::zero());
    EXPECT_EQ(result.error, 0);
    RawReady ready = RawReady::none;
    for (std::size_t i = 0; i < result.count; ++i) {
      EXPECT_EQ(events[i].token, token);
      ready |= events[i].ready;
      error_ = events[i].error;
    }
    return ready;
  }
  /// Whether the kernel has anything to report, ours or not.
  bool is_up() {
    pollfd outer{backend_->native_handle(), POLLIN, 0};
    return ::poll(&outer, 1, 0) > 0;
  }
  void expect(RawReady ready) { EXPECT_EQ(static_cast<int>(wait()), static_cast<int>(ready)); }

  std::unique_ptr<Backend> backend_;
  int error_ = 0;
};

TEST_F(Kqueue, KeepsTheOldInterestIfAFilterCannotBeAdded) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  ASSERT_FALSE(set(pair.local, RawInterest::none, in));
  for (const RawInterest to : {in | out, out}) {
    bsd::fail_next(EVFILT_WRITE, EV_ADD, ENOMEM);
    EXPECT_EQ(set(pair.local, in, to), std::errc::not_enough_memory);
    for (int i = 0; i < 2; ++i) expect(RawReady::in);
  }
  ASSERT_FALSE(set(pair.local, in, in | out));
  expect(RawReady::in | RawReady::out);
}

TEST_F(Kqueue, KeepsTheOldModeIfAFilterCannotBeArmedInAnother) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  ASSERT_FALSE(set(pair.local, RawInterest::none, in));
  bsd::fail_next(EVFILT_READ, EV_ADD, ENOMEM);
  EXPECT_EQ(set(pair.local, in, in | RawInterest::edge), std::errc::not_enough_memory);
  for (int i = 0; i < 2; ++i) expect(RawReady::in);
  ASSERT_FALSE(set(pair.local, in, in | RawInterest::edge));
  expect(RawReady::in);
  expect(RawReady::none);
}

TEST_F(Kqueue, HasNothingOfARegistrationThatWasRefused) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  bsd::fail_next(EVFILT_READ, EV_ADD, ENOMEM);
  EXPECT_EQ(set(pair.local, RawInterest::none, in | out), std::errc::not_enough_memory);
  expect(RawReady::none);
  EXPECT_FALSE(is_up());
  EXPECT_EQ(set(pair.local, in | out, in), std::errc::no_such_file_or_directory);
  ASSERT_FALSE(set(pair.local, RawInterest::none, in));
  expect(RawReady::in);
}

TEST_F(Kqueue, RefusesWhatTheKernelHasNoFilterFor) {
  const Pair pair = make_pair(PairKind::tcp4);
  for (const int error : {EINVAL, ENODEV, EOPNOTSUPP}) {
    bsd::fail_next(EVFILT_READ, EV_ADD, error);
    EXPECT_EQ(set(pair.local, RawInterest::none, in), std::errc::operation_not_permitted);
  }
}

TEST_F(Kqueue, NeedsNoFilterForWritingBesideTheOther) {
  const Pair pair = make_pair(PairKind::tcp4);
  bsd::fail_next(EVFILT_WRITE, EV_ADD, EINVAL);
  ASSERT_FALSE(set(pair.local, RawInterest::none, hup));
  shutdown_write(pair.peer);
  expect(RawReady::in);
  ASSERT_FALSE(set(pair.local, hup, RawInterest::none));
}

TEST_F(Kqueue, SaysThatAnInterestOfNothingHasEndedAndNotThatBytesAreThere) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(set(pair.local, RawInterest::none, hup));
  expect(RawReady::none);
  write_bytes(pair.peer, "abc");
  expect(RawReady::none);
  shutdown_write(pair.peer);
  expect(RawReady::in);
  expect(RawReady::none);
  reset_by_peer(pair);
  EXPECT_EQ(static_cast<int>(wait()),
            static_cast<int>(RawReady::in | RawReady::out | RawReady::err | RawReady::hup));
  EXPECT_EQ(error_, ECONNRESET);
  expect(RawReady::none);
}

TEST_F(Kqueue, DistinguishesOnesOwnEndFromAHangUp) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(set(pair.local, RawInterest::none, in | out));
  shutdown_write(pair.local);
  expect(RawReady::out);
  shutdown_write(pair.peer);
  expect(RawReady::in | RawReady::out | RawReady::hup);
}

TEST_F(Kqueue, SaysThatAPipesOtherEndHasGoneWhicheverWasAskedFor) {
  for (const RawInterest interest : {in, out, hup}) {
    Pair pair = make_pair(PairKind::pipe);  // `local` reads
    ASSERT_FALSE(set(pair.peer, RawInterest::none, interest));
    wait();
    pair.local.close();
    expect(RawReady::out | RawReady::hup);
    ASSERT_FALSE(set(pair.peer, interest, RawInterest::none));

    Pair other = make_pair(PairKind::pipe);
    ASSERT_FALSE(set(other.local, RawInterest::none, interest));
    expect(RawReady::none);
    other.peer.close();
    expect(RawReady::in | RawReady::hup);
    ASSERT_FALSE(set(other.local, interest, RawInterest::none));
  }
}

TEST_F(Kqueue, WatchesAPipeWhoseReaderHasGone) {
  Pair pair = make_pair(PairKind::pipe);  // `local` reads
  pair.local.close();
  ASSERT_FALSE(set(pair.peer, RawInterest::none, out));
  for (int i = 0; i < 2; ++i) expect(RawReady::out | RawReady::err | RawReady::hup);
  EXPECT_EQ(error_, EPIPE);
  EXPECT_FALSE(set(pair.peer, out, out));
  ASSERT_FALSE(set(pair.peer, out, out | RawInterest::edge));
  expect(RawReady::out | RawReady::err | RawReady::hup);
  expect(RawReady::none);
  ASSERT_FALSE(set(pair.peer, out | RawInterest::edge, RawInterest::none));
  ASSERT_FALSE(set(pair.peer, RawInterest::none, out));
  expect(RawReady::out | RawReady::err | RawReady::hup);
}

TEST_F(Kqueue, DoesNotTakeTheNextFileForABrokenPipe) {
  Pair pair = make_pair(PairKind::pipe);
  pair.local.close();
  ASSERT_FALSE(set(pair.peer, RawInterest::none, out));
  const NativeHandle number = pair.peer.get();
  const Pair next = make_pair(PairKind::tcp4);
  pair.peer.close();
  const Handle reused = duplicate_as(next.local, number);
  EXPECT_EQ(backend_->remove_closing(number, out, token), std::errc::no_such_file_or_directory);
  EXPECT_EQ(set(reused, out, out), std::errc::no_such_file_or_directory);
  expect(RawReady::none);
  ASSERT_FALSE(set(reused, RawInterest::none, in));
  expect(RawReady::none);
}

TEST_F(Kqueue, DoesNotLetTheNextFileWithANumberBeClosed) {
  Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(set(pair.local, RawInterest::none, in));
  const NativeHandle number = pair.local.get();
  const Pair next = make_pair(PairKind::tcp4);
  pair.local.close();
  const Handle reused = duplicate_as(next.local, number);
  EXPECT_EQ(backend_->remove_closing(number, in, token), std::errc::no_such_file_or_directory);
  ASSERT_FALSE(set(reused, RawInterest::none, in));
  EXPECT_FALSE(backend_->remove_closing(number, in, token));
}

TEST_F(Kqueue, AttachesNothingToTheNextFileWithANumber) {
  for (const RawInterest to : {in | out, out, in | RawInterest::edge}) {
    Pair pair = make_pair(PairKind::tcp4);
    ASSERT_FALSE(set(pair.local, RawInterest::none, in));
    const NativeHandle number = pair.local.get();
    const Pair next = make_pair(PairKind::tcp4);
    write_bytes(next.peer, "abc");
    pair.local.close();
    const Handle reused = duplicate_as(next.local, number);
    EXPECT_EQ(set(reused, in, to), std::errc::no_such_file_or_directory);
    expect(RawReady::none);
    EXPECT_FALSE(is_up());
  }
}

TEST_F(Kqueue, IsReadableToAPollWhileItHasSomething) {
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(set(pair.local, RawInterest::none, in));
  expect(RawReady::none);
  EXPECT_FALSE(is_up());
  write_bytes(pair.peer, "abc");
  EXPECT_TRUE(is_up());
  expect(RawReady::in);
}

TEST_F(Kqueue, IsNotClosedInAChildWhichHasNone) {
  const NativeHandle number = backend_->native_handle();
  const Pair pair = make_pair(PairKind::tcp4);
  const pid_t child = ::fork();
  if (child == 0) {
    const Handle other = duplicate_as(pair.local, number);  // free there
    backend_.reset();
    ::_exit(::fcntl(number, F_GETFD) >= 0 ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Kqueue, MakesAnotherInAChild) {
  const Pair pair = make_pair(PairKind::tcp4);
  write_bytes(pair.peer, "abc");
  const pid_t child = ::fork();
  if (child == 0) {
    const bool is_new = !backend_->reset() && !set(pair.local, RawInterest::none, in);
    ::_exit(is_new && wait() == RawReady::in ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace pollux
