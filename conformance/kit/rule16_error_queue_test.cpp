// SPDX-License-Identifier: MIT
// Rule 16: ERR without an error. A notice in a socket's error queue raises ERR, with SO_ERROR 0,
// for as long as nobody reads it: no failure, and it must not spin; the stream lives on. An ICMP
// answer to a SYN raises ERR alone, with a code once: that is a failure. On a connection it is
// none: only who asks learns of it (IP_RECVERR). Goal: both kinds of notice Linux has for TCP, in
// every phase of a stream's life; a SYN that a firewall rejects; what a router says of a
// connection.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conformance/kit/kit.hpp"
#include "conformance/support/emulator.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

void set_option(const Handle& handle, int option, int value) {
  if (::setsockopt(handle.get(), SOL_SOCKET, option, &value, sizeof value) != 0)
    throw std::system_error{errno, std::system_category(), "setsockopt"};
}

/// Waits until a notice is there.
void await_notice(const Handle& handle) {
  pollfd look{handle.get(), 0, 0};
  if (::poll(&look, 1, 5000) != 1 || (look.revents & POLLERR) == 0)
    throw std::runtime_error{"the kernel has not sent the notice that this test is about"};
}

/// `local` sends something, which the peer reads, and has it acknowledged by time stamps.
void time_stamp_notice(Pair& pair) {
  set_option(pair.local, SO_TIMESTAMPING,
             SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
                 SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY);
  write_bytes(pair.local, "when did this leave?");
  drain(pair.peer);
  await_notice(pair.local);
}

/// The same without a copy, of whose completion the kernel gives notice.
void zero_copy_notice(Pair& pair) {
  static const char buffer[] = "sent from where it is";
  set_option(pair.local, SO_ZEROCOPY, 1);
  EXPECT_GT(::send(pair.local.get(), buffer, sizeof buffer, MSG_ZEROCOPY | MSG_NOSIGNAL), 0);
  drain(pair.peer);
  await_notice(pair.local);
}

void read_error_queue(const Handle& handle) {
  char control[512];
  char data[64];
  while (true) {
    iovec into{data, sizeof data};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(handle.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

class ErrWithoutAnError : public OnEachKind {
 protected:
  void SetUp() override {
    OnEachKind::SetUp();
    POLLUX_NEEDS("SO_TIMESTAMPING", has_socket_option(kind(), SO_TIMESTAMPING, 0));
    POLLUX_NEEDS("SO_ZEROCOPY", has_socket_option(kind(), SO_ZEROCOPY, 0));
  }

  /// `story` with each kind of notice pending, before and after registration. Where a backend has
  /// no edges the masked stream is looked at now and then, here every millisecond.
  void with_a_notice(Interest interest, const Story& story) {
    use({.probe_interval_min = 1ms, .probe_interval_max = 1ms});
    for (const auto notice : {time_stamp_notice, zero_copy_notice})
      before_and_after(interest, notice, story);
  }

  /// The same without a turn for anything but what really happens: the next look is an hour away.
  void with_a_notice_and_no_looks(Interest interest, const Story& story) {
    use({.probe_interval_min = 1h, .probe_interval_max = 1h});
    for (const auto notice : {time_stamp_notice, zero_copy_notice})
      before_and_after(interest, notice, story);
  }
};

TEST_P(ErrWithoutAnError, IsNoEventAndMakesNoTurn) {
  for (const Interest interest : {Interest::none, Interest::readable, Interest::peer_closed,
                                  Interest::readable | Interest::peer_closed}) {
    with_a_notice_and_no_looks(interest, [&](Pair&, Recorder& local) {
      EXPECT_TRUE(delivers_nothing(local));
      EXPECT_TRUE(sleeps());
      EXPECT_TRUE(delivers_nothing(local));
    });
  }
}

TEST_P(ErrWithoutAnError, IsLookedAtNowAndThenAtMost) {
  // With the usual options, where there are no edges: 1, 2, 4 … 64 ms are seven looks, of two waits
  // each.
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  time_stamp_notice(pair);
  EXPECT_TRUE(delivers_nothing(local));
  EXPECT_LE(waits_in(100ms, reactor()), 16u);
}

TEST_P(ErrWithoutAnError, DoesNotKeepBytesFromBeingDelivered) {
  with_a_notice(Interest::readable, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local), 3);
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "def");
    EXPECT_TRUE(delivers(local, "readable"));
  });
}

TEST_P(ErrWithoutAnError, DoesNotKeepBytesFromBeingDeliveredForAsLongAsTheyAreUnread) {
  with_a_notice(Interest::readable, [&](Pair& pair, Recorder& local) {
    write_bytes(pair.peer, "abc");
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(delivers(local, "readable"));
      EXPECT_EQ(read_bytes(pair.local, 1), 1);
    }
    EXPECT_TRUE(delivers_nothing(local));
  });
}

TEST_P(ErrWithoutAnError, LeavesWritingAsItWas) {
  with_a_notice(Interest::writable, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "writable"));
    EXPECT_EQ(write_bytes(pair.local, "abc"), 3);
    EXPECT_TRUE(delivers(local, "writable"));
  });
}

TEST_P(ErrWithoutAnError, DoesNotKeepTheEndFromBeingDelivered) {
  with_a_notice(Interest::readable, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    end_writing(pair.local);
    EXPECT_TRUE(delivers(local, "hangup"));
  });
}

TEST_P(ErrWithoutAnError, DoesNotKeepAFailureFromBeingDelivered) {
  for (const Interest interest : {Interest::readable, Interest::none}) {
    with_a_notice(interest, [&](Pair& pair, Recorder& local) {
      EXPECT_TRUE(delivers_nothing(local));
      reset_by_peer(pair);
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      EXPECT_TRUE(sleeps());
    });
  }
}

TEST_P(ErrWithoutAnError, AfterTheEndIsNoEventAndMakesNoTurn) {
  use({.probe_interval_min = 1h, .probe_interval_max = 1h});
  before_and_after(
      Interest::readable, [](Pair& pair) { shutdown_write(pair.peer); },
      [&](Pair& pair, Recorder& local) {
        EXPECT_TRUE(delivers(local, "end_of_stream"));
        time_stamp_notice(pair);
        EXPECT_TRUE(delivers_nothing(local));
        EXPECT_TRUE(sleeps());
      });
}

TEST_P(ErrWithoutAnError, WhilePausedAtTheEndIsNoEventAndMakesNoTurn) {
  with_a_notice_and_no_looks(Interest::none, [&](Pair& pair, Recorder& local) {
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
  });
}

TEST_P(ErrWithoutAnError, WhilePausedAtBytesIsNoEventAndMakesNoTurn) {
  with_a_notice_and_no_looks(Interest::none, [&](Pair& pair, Recorder& local) {
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_TRUE(sleeps());
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers(local, "readable"));
  });
}

TEST_P(ErrWithoutAnError, IsOverWhenItsOwnerHasReadTheNotice) {
  with_a_notice(Interest::readable, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    read_error_queue(pair.local);
    reactor().run_for(3ms);  // the last look at what was masked
    EXPECT_TRUE(sleeps());
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
  });
}

TEST_P(ErrWithoutAnError, OfEveryFurtherNoticeMakesNoTurnEither) {
  use({.probe_interval_min = 1h, .probe_interval_max = 1h});
  Pair pair = make_pair(kind());
  Recorder local{reactor(), pair.local, Interest::readable};
  for (int i = 0; i < 5; ++i) {
    time_stamp_notice(pair);
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_TRUE(sleeps());
  }
}

POLLUX_ON_EACH_KIND(ErrWithoutAnError, tcp);

/// A network of this thread's own for as long as it lives, in which a connection to port 9 is
/// answered with "administratively prohibited".
class RejectingNetwork {
 public:
  RejectingNetwork() : outside_{::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)} {
    if (!outside_ || ::unshare(CLONE_NEWNET) != 0) return;
    inside_ = true;
    const Handle any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    works_ = ::ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0 && run("nft add table inet pollux") &&
             run("nft add chain inet pollux output "
                 "'{ type filter hook output priority 0; }'") &&
             run("nft add rule inet pollux output tcp dport 9 "
                 "reject with icmpx type admin-prohibited");
  }
  RejectingNetwork(const RejectingNetwork&) = delete;
  RejectingNetwork& operator=(const RejectingNetwork&) = delete;
  ~RejectingNetwork() {
    if (inside_ && ::setns(outside_.get(), CLONE_NEWNET) != 0) std::abort();
  }

  bool works() const noexcept { return works_; }

  static Handle start_rejected_connect(PairKind kind) {
    Handle socket = make_socket(kind);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(9);
    sockaddr_in6 to6{};
    to6.sin6_family = AF_INET6;
    to6.sin6_addr = in6addr_loopback;
    to6.sin6_port = htons(9);
    const int result =
        kind == PairKind::tcp4
            ? ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to)
            : ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to6), sizeof to6);
    EXPECT_EQ(result, -1);
    EXPECT_EQ(errno, EINPROGRESS);
    return socket;
  }

 private:
  static bool run(const char* command) {
    return std::system((std::string{"PATH=$PATH:/usr/sbin:/sbin "} + command + " 2>&1").c_str()) ==
           0;
  }

  Handle outside_;
  bool inside_ = false;
  bool works_ = false;
};

class ASynAnsweredByIcmp : public OnEachKind {};

TEST_P(ASynAnsweredByIcmp, IsAnErrorAndHangupAndDoesNotSpin) {
  const RejectingNetwork network;
  if (!network.works()) {
    RecordProperty("not_played",
                   "no network namespace with nft to be had here: a refused connection instead");
  }
  // IPv4 raises ERR at once, as a notice beside a soft error; IPv6 says nothing before the next
  // SYN.
  const std::errc expected = !network.works()           ? std::errc::connection_refused
                             : kind() == PairKind::tcp4 ? std::errc::host_unreachable
                                                        : std::errc::permission_denied;
  std::vector<Handle> sockets;
  std::vector<std::unique_ptr<Recorder>> locals;
  for (const Interest interest : {Interest::readable, Interest::none, Interest::writable}) {
    sockets.push_back(network.works() ? RejectingNetwork::start_rejected_connect(kind())
                                      : start_refused_connect(kind()));
    locals.push_back(std::make_unique<Recorder>(reactor(), sockets.back(), interest));
  }
  for (const auto& local : locals) EXPECT_TRUE(delivers(*local, "error hangup", expected));
  EXPECT_TRUE(sleeps());
}

POLLUX_ON_EACH_KIND(ASynAnsweredByIcmp, tcp);

/// Whoever forges the answer of a router that could not deliver a packet of `connection`. It takes
/// rights: to look up the number of the last byte sent, and to send a packet as it is.
class Router {
 public:
  explicit Router(PairKind kind)
      : is_v4_{kind == PairKind::tcp4},
        raw_{is_v4_ ? ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)
                    : ::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)} {}

  /// "Host unreachable". False if it may not.
  bool answers(const Handle& connection) const {
    std::uint32_t number = 0;
    if (!raw_ || !look_up_number(connection, number)) return false;
    sockaddr_storage from{};
    sockaddr_storage to{};
    socklen_t size = sizeof from;
    ::getsockname(connection.get(), reinterpret_cast<sockaddr*>(&from), &size);
    ::getpeername(connection.get(), reinterpret_cast<sockaddr*>(&to), &size);
    tcphdr segment{};
    segment.source = port_of(from);
    segment.dest = port_of(to);
    segment.seq = htonl(number);
    set_port(from, 0);  // of a raw socket there is none
    return is_v4_ ? answers_v4(from, to, segment) : answers_v6(from, to, segment);
  }

 private:
  static bool look_up_number(const Handle& connection, std::uint32_t& number) {
    constexpr int on = 1;
    constexpr int off = -1;  // without a probe of the window, which the peer would hear
    constexpr int send_queue = 2;
    const auto set = [&](int option, int value) {
      return ::setsockopt(connection.get(), IPPROTO_TCP, option, &value, sizeof value) == 0;
    };
    if (!set(TCP_REPAIR, on)) return false;
    socklen_t size = sizeof number;
    const bool known =
        set(TCP_REPAIR_QUEUE, send_queue) &&
        ::getsockopt(connection.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &size) == 0;
    return set(TCP_REPAIR, off) && known;
  }

  static std::uint16_t port_of(const sockaddr_storage& address) {
    return reinterpret_cast<const sockaddr_in&>(address).sin_port;  // in6 has it there too
  }
  static void set_port(sockaddr_storage& address, std::uint16_t port) {
    reinterpret_cast<sockaddr_in&>(address).sin_port = port;
  }

  bool answers_v4(const sockaddr_storage& from, const sockaddr_storage& to,
                  const tcphdr& segment) const {
    struct {
      icmphdr head;
      iphdr packet;
      tcphdr segment;
    } answer{};
    answer.head.type = ICMP_DEST_UNREACH;
    answer.head.code = ICMP_HOST_UNREACH;
    answer.packet.version = 4;
    answer.packet.ihl = sizeof answer.packet / 4;
    answer.packet.tot_len = htons(sizeof answer.packet + sizeof answer.segment);
    answer.packet.protocol = IPPROTO_TCP;
    answer.packet.saddr = reinterpret_cast<const sockaddr_in&>(from).sin_addr.s_addr;
    answer.packet.daddr = reinterpret_cast<const sockaddr_in&>(to).sin_addr.s_addr;
    answer.segment = segment;
    answer.head.checksum = checksum(&answer, sizeof answer);
    return ::sendto(raw_.get(), &answer, sizeof answer, 0, reinterpret_cast<const sockaddr*>(&from),
                    sizeof(sockaddr_in)) > 0;
  }

  bool answers_v6(const sockaddr_storage& from, const sockaddr_storage& to,
                  const tcphdr& segment) const {
    struct {
      icmp6_hdr head;
      ip6_hdr packet;
      tcphdr segment;
    } answer{};
    answer.head.icmp6_type = ICMP6_DST_UNREACH;
    answer.head.icmp6_code = ICMP6_DST_UNREACH_ADDR;
    answer.packet.ip6_vfc = 6 << 4;
    answer.packet.ip6_plen = htons(sizeof answer.segment);
    answer.packet.ip6_nxt = IPPROTO_TCP;
    answer.packet.ip6_src = reinterpret_cast<const sockaddr_in6&>(from).sin6_addr;
    answer.packet.ip6_dst = reinterpret_cast<const sockaddr_in6&>(to).sin6_addr;
    answer.segment = segment;
    return ::sendto(raw_.get(), &answer, sizeof answer, 0, reinterpret_cast<const sockaddr*>(&from),
                    sizeof(sockaddr_in6)) > 0;
  }

  /// The kernel fills it in for ICMPv6 alone.
  static std::uint16_t checksum(const void* packet, std::size_t size) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < size; i += 2) {
      std::uint16_t word = 0;
      std::memcpy(&word, static_cast<const char*>(packet) + i, sizeof word);
      sum += word;
    }
    while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

  bool is_v4_;
  Handle raw_;
};

class AnIcmpAnswerOnAConnection : public OnEachKind {
 protected:
  /// `story` of a connection that wants to know, and has been reported. Without the rights to have
  /// it told, of one that has a notice in its error queue.
  void with_an_answer(Interest interest, const Story& story) {
    use({.probe_interval_min = 1ms, .probe_interval_max = 1ms});
    before_and_after(
        interest,
        [&](Pair& pair) {
          ask_for_answers(pair.local);
          has_code_ = Router{kind()}.answers(pair.local);
          if (!has_code_) {
            RecordProperty("not_played", "may not forge an ICMP answer here: a notice instead");
            time_stamp_notice(pair);
          }
          await_notice(pair.local);
        },
        story);
  }

  void ask_for_answers(const Handle& handle) const {
    const int on = 1;
    const int set = kind() == PairKind::tcp4
                        ? ::setsockopt(handle.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on)
                        : ::setsockopt(handle.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    ASSERT_EQ(set, 0);
  }

  /// Whether the owner finds the code: where a backend does not tell an error from bytes, a look
  /// has taken it.
  void expect_code_left(const Handle& handle) {
    const bool delivers_all = any(reactor().backend_reports(), RawReady::hup);
    if (!has_code_ || !delivers_all) return;
    EXPECT_EQ(read_bytes(handle), -EHOSTUNREACH);
    EXPECT_EQ(read_bytes(handle), -EAGAIN);
  }

 private:
  bool has_code_ = false;
};

TEST_P(AnIcmpAnswerOnAConnection, IsNotItsEnd) {
  for (const Interest interest : {Interest::none, Interest::readable, Interest::peer_closed,
                                  Interest::readable | Interest::peer_closed}) {
    SCOPED_TRACE(to_string(interest));
    with_an_answer(interest, [&](Pair& pair, Recorder& local) {
      EXPECT_TRUE(delivers_nothing(local));
      expect_code_left(pair.local);
      EXPECT_TRUE(delivers_nothing(local));
    });
  }
}

TEST_P(AnIcmpAnswerOnAConnection, LeavesReadingAndWritingAsTheyWere) {
  with_an_answer(Interest::readable | Interest::writable, [&](Pair& pair, Recorder& local) {
    EXPECT_TRUE(delivers(local, "writable"));
    local.watch.set_interest(Interest::readable);
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, "readable"));
    EXPECT_EQ(read_bytes(pair.local), 3);
    EXPECT_TRUE(delivers_nothing(local));
    shutdown_write(pair.peer);
    EXPECT_TRUE(delivers(local, "end_of_stream"));
    end_writing(pair.local);
  });
}

TEST_P(AnIcmpAnswerOnAConnection, MakesNoTurnsWithNothingToTell) {
  with_an_answer(Interest::readable, [&](Pair&, Recorder& local) {
    EXPECT_TRUE(delivers_nothing(local));
    EXPECT_LE(waits_in(50ms, reactor()), 150u) << "two for each look, which is every millisecond";
  });
}

TEST_P(AnIcmpAnswerOnAConnection, DoesNotKeepAFailureFromBeingDelivered) {
  for (const Interest interest : {Interest::none, Interest::readable}) {
    with_an_answer(interest, [&](Pair& pair, Recorder& local) {
      EXPECT_TRUE(delivers_nothing(local));
      reset_by_peer(pair);
      EXPECT_TRUE(delivers(local, "error hangup", std::errc::connection_reset));
      EXPECT_TRUE(sleeps());
    });
  }
}

TEST_P(AnIcmpAnswerOnAConnection, ThatNobodyAskedForIsNoneBesideANoticeEither) {
  POLLUX_NEEDS("SO_TIMESTAMPING", has_socket_option(kind(), SO_TIMESTAMPING, 0));
  // The kernel remembers it as a soft error, which SO_ERROR tells all the same.
  use({.probe_interval_min = 1ms, .probe_interval_max = 1ms});
  for (const Interest interest : {Interest::none, Interest::readable}) {
    Pair pair = make_pair(kind());
    time_stamp_notice(pair);
    if (!Router{kind()}.answers(pair.local))
      RecordProperty("not_played", "may not forge an ICMP answer here: a notice alone");
    Recorder local{reactor(), pair.local, interest};
    EXPECT_TRUE(delivers_nothing(local));
    write_bytes(pair.peer, "abc");
    EXPECT_TRUE(delivers(local, any(interest, Interest::readable) ? "readable" : ""));
  }
}

POLLUX_ON_EACH_KIND(AnIcmpAnswerOnAConnection, tcp);

}  // namespace
}  // namespace pollux::conformance
