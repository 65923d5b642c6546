// SPDX-License-Identifier: MIT
// What the tests ask of the system (conformance/support/system.hpp), where Linux and other systems
// answer by files of their own. On Linux both run.
#include <cerrno>
#include <chrono>

#include <gtest/gtest.h>

#include "conformance/support/signal_numbers.hpp"
#include "conformance/support/system.hpp"

namespace pollux::support {

namespace {

using namespace std::chrono_literals;

TEST(TheSystem, CountsTheDescriptorsThatAreOpen) {
  const std::size_t before = open_descriptors();
  Pair pair = make_pair(PairKind::pipe);
  EXPECT_EQ(open_descriptors(), before + 2);
  pair.peer.close();
  EXPECT_EQ(open_descriptors(), before + 1);
}

TEST(TheSystem, MakesDescriptorsOnWhichNoCallWaits) {
  for (const PairKind kind : available_pair_kinds()) {
    SCOPED_TRACE(to_string(kind));
    const Pair pair = make_pair(kind);
    EXPECT_EQ(read_bytes(pair.local), -EAGAIN);
    EXPECT_GT(fill(pair.peer), 0u);
  }
  const Handle listener = make_listener(PairKind::tcp4);
  int error = 0;
  EXPECT_FALSE(accept_now(listener, error));
  EXPECT_EQ(error, EAGAIN);
  const Handle master = open_master();
  EXPECT_EQ(read_bytes(master), -EAGAIN);
}

TEST(TheSystem, ShowsWhetherTheOtherEndIsClosedAlsoBehindBytes) {
  for (const PairKind kind : {PairKind::tcp4, PairKind::unix_stream}) {
    SCOPED_TRACE(to_string(kind));
    Pair pair = make_pair(kind);
    EXPECT_EQ(look_at_other_end(pair.local, 0ms), OtherEnd::open);
    write_bytes(pair.peer, "abc");
    EXPECT_EQ(look_at_other_end(pair.local, 20ms), OtherEnd::open);
    pair.peer.close();
    EXPECT_EQ(look_at_other_end(pair.local, 5s), OtherEnd::closed);
    EXPECT_EQ(read_bytes(pair.local), 3) << "it has taken some";
  }
}

TEST(TheSystem, HasAnAddressForEachListenerWhichIsFreeWhenItIsClosed) {
  for (const PairKind kind : {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream}) {
    SCOPED_TRACE(to_string(kind));
    Handle one = make_listener(kind);
    const Handle other = make_listener(kind);
    const Handle client = start_connect(kind, other);
    EXPECT_TRUE(accept_one(other));
    const BoundAddress address{one};
    EXPECT_FALSE(address.is_free());
    one.close();
    EXPECT_TRUE(address.is_free());
    EXPECT_TRUE(address.is_free()) << "nobody has kept it";
    const BoundAddress mailbox{make_mailbox(kind)};
    EXPECT_TRUE(mailbox.is_free());
  }
}

TEST(TheSystem, KnowsNumbersThatAreNoSignals) {
  EXPECT_GT(behind_all_signals(), last_signal());
  EXPECT_GT(last_signal(), 0);
}

}  // namespace

}  // namespace pollux::support
