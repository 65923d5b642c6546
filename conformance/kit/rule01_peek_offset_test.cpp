// SPDX-License-Identifier: MIT
// Rule 1 where the owner's peeks begin at an offset (SO_PEEK_OFF): end_of_stream is never reported
// while a byte is unread, and the offset is left where it is.
#include <cerrno>
#include <optional>

#include <sys/socket.h>

#include "conformance/kit/kit.hpp"
#include "conformance/support/emulator.hpp"

namespace pollux::conformance {
namespace {

/// Its owner reads ahead: peeks begin at an offset, which they move.
class AStreamPeekedAtAnOffset : public OnEachKind {
 protected:
  void SetUp() override {
    OnEachKind::SetUp();
    POLLUX_NEEDS("SO_PEEK_OFF", has_socket_option(kind(), SO_PEEK_OFF, 0));
    pair_ = make_pair(kind());
    const int start = 0;
    works_ = ::setsockopt(pair_->local.get(), SOL_SOCKET, SO_PEEK_OFF, &start, sizeof start) == 0;
    if (works_) return;
    ASSERT_TRUE(is_tcp(kind()) && errno == EOPNOTSUPP) << "AF_UNIX has had it since Linux 3.4";
    RecordProperty("not_played",
                   "TCP has no SO_PEEK_OFF here (Linux 6.9): peeks without an offset");
  }
  void TearDown() override {
    pair_.reset();
    OnEachKind::TearDown();
  }
  bool is_at(int offset) const {
    int value = -1;
    socklen_t size = sizeof value;
    ::getsockopt(pair_->local.get(), SOL_SOCKET, SO_PEEK_OFF, &value, &size);
    return !works_ || value == offset;
  }
  long peek() {
    char bytes[16];
    return ::recv(pair_->local.get(), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  }
  Pair& pair() { return *pair_; }

 private:
  std::optional<Pair> pair_;
  bool works_ = false;
};

TEST_P(AStreamPeekedAtAnOffset, EndsWhenItsLastByteIsReadWhereverTheOffsetIs) {
  Recorder local{reactor(), pair().local, Interest::readable};
  write_bytes(pair().peer, "abc");
  EXPECT_TRUE(delivers(local, "readable"));
  shutdown_write(pair().peer);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(is_at(0)) << "a look has moved it";
  EXPECT_EQ(peek(), 3);
  EXPECT_TRUE(is_at(3));
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair().local, 2), 2);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_TRUE(is_at(1));
  EXPECT_EQ(read_bytes(pair().local, 1), 1);
  EXPECT_TRUE(delivers(local, "end_of_stream"));
  shutdown_write(pair().local);
  EXPECT_TRUE(delivers(local, "hangup"));
  EXPECT_TRUE(sleeps());
}

TEST_P(AStreamPeekedAtAnOffset, IsReadableForAsLongAsAByteIsUnread) {
  Recorder local{reactor(), pair().local, Interest::readable | Interest::peer_closed};
  write_bytes(pair().peer, "abc");
  for (int byte = 0; byte < 3; ++byte) {
    EXPECT_TRUE(delivers(local, "readable"));
    if (byte == 0) {
      EXPECT_EQ(peek(), 3);
    }
    EXPECT_EQ(read_bytes(pair().local, 1), 1);
    EXPECT_TRUE(is_at(2 - byte));
  }
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_TRUE(sleeps());
}

TEST_P(AStreamPeekedAtAnOffset, KeepsItsBytesAndItsOffsetWhilePaused) {
  Recorder local{reactor(), pair().local, Interest::none};
  write_bytes(pair().peer, "abc");
  EXPECT_EQ(peek(), 3);
  shutdown_write(pair().peer);
  shutdown_write(pair().local);
  EXPECT_TRUE(delivers_nothing(local)) << "both directions are over, and bytes unread";
  EXPECT_TRUE(is_at(3));
  local.watch.set_interest(Interest::readable);
  EXPECT_TRUE(delivers(local, "readable"));
  EXPECT_EQ(read_bytes(pair().local), 3);
  EXPECT_TRUE(delivers(local, "end_of_stream hangup"));
}

POLLUX_ON_EACH_KIND(AStreamPeekedAtAnOffset, sockets);

}  // namespace
}  // namespace pollux::conformance
