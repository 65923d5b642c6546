// SPDX-License-Identifier: MIT
// The rows. Each names the text's claim, says whether it is so, and what must be told on every
// backend.
#include "conformance/scenarios/scenarios.hpp"
#include "conformance/scenarios/script.hpp"
#include "conformance/support/system.hpp"

namespace pollux::scenarios {

namespace {

using support::is_tcp;

constexpr PairKind tcp[] = {PairKind::tcp4, PairKind::tcp6};
constexpr PairKind sockets[] = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream};
constexpr PairKind streams[] = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream,
                                PairKind::pipe};

/// What systems differ in: a read behind one's own end, and what there is after a reset behind a
/// FIN.
std::string read_behind_own_end(std::string bytes) {
  return support::system_facts().own_shutdown_leaves_unread ? bytes : "EPIPE";
}
std::string write_behind_failure() {
  return support::system_facts().failure_is_taken ? "EPIPE" : "ECONNRESET";
}
std::string_view reset_behind_fin() {
  return support::system_facts().reset_behind_fin_is_broken_pipe ? "error(broken_pipe) hangup"
                                                                 : "error(connection_reset) hangup";
}

constexpr RawReady in_rdhup = RawReady::in | RawReady::rdhup;
constexpr RawReady hup_err = RawReady::hup | RawReady::err;

constexpr std::string_view closed_by_peer = "peer_closed end_of_stream";

/// One's own SHUT_RD looks like the peer's FIN to the kernel. TCP's state tells them apart; AF_UNIX
/// has nothing that does.
constexpr std::string_view own_shut_rd(PairKind kind) {
  return is_tcp(kind) ? "end_of_stream" : closed_by_peer;
}

/// Said where it is the point: whoever is not named receives nothing either.
constexpr Delivers silence(Name who) {
  return {who, ""};
}

/// The other end's close is one FIN on TCP, both directions at once on AF_UNIX, and on a pipe
/// whatever its one direction was: `who` is the end that is left.
Delivers other_end_closes(PairKind kind, Name who) {
  if (is_tcp(kind)) return {who, closed_by_peer, in_rdhup};
  if (kind == PairKind::unix_stream)
    return {who, "peer_closed end_of_stream hangup", in_rdhup | RawReady::hup};
  if (who == peer) return {who, "error(broken_pipe) hangup", RawReady::err};
  return {who, "peer_closed end_of_stream hangup", RawReady::hup};
}

constexpr Scenario rows[] = {
    {"S1", "the peer's FIN",
     "Text: EPOLLRDHUP comes with EPOLLIN (0x2001) when the peer shuts down or closes. True. Where "
     "there is no RDHUP, IN is all one sees, and a peek finds the end behind it.",
     sockets,
     [](PairKind) -> Script {
       return {watch({local}), shutdown_write(peer, {{local, closed_by_peer, in_rdhup}})};
     }},

    {"S2", "your own SHUT_RD",
     "Text: shutdown(SHUT_RD) raises the same EPOLLIN + EPOLLRDHUP as the peer's FIN, and read() "
     "gives "
     "0. True; on TCP pollux still tells the two apart: the peer has closed nothing.",
     sockets,
     [](PairKind kind) -> Script {
       return {watch({local}), shutdown_read(local, {{local, own_shut_rd(kind), in_rdhup}}),
               read(local, read_behind_own_end("0"))};
     }},

    {"S3", "bytes that arrive after your own SHUT_RD",
     "Text: the peer can still write, and read() still returns the data. True of the kernel; "
     "nothing "
     "is reported after end_of_stream, so code that has seen the end is not surprised by them.",
     tcp,
     [](PairKind) -> Script {
       return {watch({local}), shutdown_read(local, {{local, "end_of_stream", in_rdhup}}),
               write(peer, 1, "1", {silence(local)}), read(local, read_behind_own_end("1")),
               read(local, read_behind_own_end("0"))};
     }},

    {"S4", "SHUT_RD, as the peer sees it",
     "Text: SHUT_RD does nothing on the wire, so the peer cannot know of it. True.", tcp,
     [](PairKind) -> Script {
       return {watch({local, peer}),
               shutdown_read(local, {{local, "end_of_stream", in_rdhup}, silence(peer)}),
               write(peer, 1, "1", {silence(peer)})};
     }},

    {"S5", "SHUT_RD, then close",
     "Text: what SHUT_RD did not show to the peer, the close does: EPOLLIN + EPOLLRDHUP. True.",
     sockets,
     [](PairKind kind) -> Script {
       return {watch({local, peer}), shutdown_read(local, {{local, own_shut_rd(kind), in_rdhup}}),
               leave(local, {other_end_closes(kind, peer)})};
     }},

    {"S6", "SHUT_WR, and data the other way",
     "Text: SHUT_WR sends a FIN, the other side signals EPOLLIN + EPOLLRDHUP, and data can still "
     "flow "
     "back. True: a half-close is a state, not the end.",
     sockets,
     [](PairKind) -> Script {
       return {watch({local, peer}),
               shutdown_write(local, {{peer, closed_by_peer, in_rdhup}, silence(local)}),
               write(peer, 1, "1", {{local, "readable(1)", RawReady::in}})};
     }},

    {"S7", "writing after your own SHUT_WR",
     "Text: it fails with EPIPE and raises SIGPIPE. True (MSG_NOSIGNAL keeps the signal away). The "
     "connection has not failed, so no event is due.",
     sockets,
     [](PairKind) -> Script {
       return {watch({local, peer}), shutdown_write(local, {{peer, closed_by_peer, in_rdhup}}),
               write(local, 1, "EPIPE", {silence(local)})};
     }},

    {"S8", "SHUT_WR, then close",
     "Text: the close changes no flag at the peer. True: the one FIN was sent before. A watch made "
     "after the close sees what one made before it saw.",
     tcp,
     [](PairKind) -> Script {
       return {shutdown_write(local), watch({peer}, usual, {{peer, closed_by_peer, in_rdhup}}),
               close(local, {silence(peer)}), unwatch(peer),
               watch({peer}, usual, {{peer, closed_by_peer, in_rdhup}})};
     }},

    {"S9", "writing to a peer that has closed",
     "Text: the first write succeeds, and then every flag fires, EPOLLERR and EPOLLHUP among them. "
     "True: a reset is the answer. (RDHUP has been reported by then, and is masked.)",
     tcp,
     [](PairKind) -> Script {
       return {watch({local}), close(peer, {{local, closed_by_peer, in_rdhup}}),
               write(local, 1, "1", {{local, reset_behind_fin(), hup_err}}),
               write(local, 1, write_behind_failure(), {silence(local)})};
     }},

    {"S10", "HUP: both directions are over",
     "Text: EPOLLRDHUP is the reading side, EPOLLHUP both. True on Linux; other systems raise HUP "
     "for "
     "less, so elsewhere it is a hint to look. A pipe has one direction only.",
     streams,
     [](PairKind kind) -> Script {
       if (kind == PairKind::pipe)
         return {watch({local}), close(peer, {other_end_closes(kind, local)})};
       return {watch({local}), shutdown_write(peer, {{local, closed_by_peer, in_rdhup}}),
               shutdown_write(local, {{local, "hangup", RawReady::hup}})};
     }},

    {"S11", "HUP and ERR come unasked",
     "Text (epoll_ctl(2)): it is not necessary to ask for EPOLLHUP. True on Linux, not everywhere; "
     "a "
     "watch with no interest at all learns of a failure on every backend.",
     streams,
     [](PairKind kind) -> Script {
       if (kind == PairKind::pipe)
         return {watch({peer}, Interest::none), close(local, {other_end_closes(kind, peer)})};
       return {watch({local}, Interest::none), write(local, 1, "1"),
               reset(peer, {{local, "error(connection_reset) hangup", hup_err}})};
     }},

    {"S12", "dup: both descriptors signal",
     "Text: a byte makes both signal EPOLLIN, and reading it from one clears both. True.", streams,
     [](PairKind) -> Script {
       return {duplicate_local(), look_at({local, dup}),
               write(peer, 1, "1",
                     {{local, "readable", RawReady::in}, {dup, "readable", RawReady::in}}),
               read(local, "1", {silence(local), silence(dup)})};
     }},

    {"S13", "dup: closing one",
     "Text: the peer is told nothing as long as a duplicate is open. True, and the stream goes on.",
     streams,
     [](PairKind) -> Script {
       return {duplicate_local(), watch({local, dup, peer}), leave(local, {silence(peer)}),
               write(peer, 1, "1", {{dup, "readable(1)", RawReady::in}})};
     }},

    {"S14", "dup: a registration that cannot be removed",
     "Text: close() before EPOLL_CTL_DEL, with a duplicate alive, leaves a registration that goes "
     "on "
     "reporting, and removing it gives EBADF. True. pollux drops the report and makes the set "
     "anew.",
     streams,
     [](PairKind) -> Script {
       return {watch({local}),
               duplicate_local(),
               close(local),
               unwatch(local),
               reuse_number(),
               write(peer, 1, "1", {silence(local), silence(fresh)}),
               write(fresh_peer, 1, "1", {{fresh, "readable(1)", RawReady::in}}),
               write(peer, 1, "1", {silence(local), silence(fresh)})};
     }},

    {"S15", "dup: closing the last one", "Text: only the last close fires at the peer. True.",
     streams,
     [](PairKind kind) -> Script {
       return {duplicate_local(), watch({peer}), close(local, {silence(peer)}),
               close(dup, {other_end_closes(kind, peer)})};
     }},

    {"S16", "dup: SHUT_RD through a duplicate",
     "Text: shutdown() works on the socket, not on the descriptor: both signal. True.", sockets,
     [](PairKind kind) -> Script {
       return {duplicate_local(), watch({local, dup}),
               shutdown_read(dup, {{local, own_shut_rd(kind), in_rdhup},
                                   {dup, own_shut_rd(kind), in_rdhup}})};
     },
     false, false, true},

    {"S17", "dup: SHUT_WR through a duplicate",
     "Text: the peer signals EPOLLIN + EPOLLRDHUP. True, and writing is over for both descriptors.",
     sockets,
     [](PairKind) -> Script {
       return {
           duplicate_local(), watch({local, dup, peer}),
           shutdown_write(dup, {{peer, closed_by_peer, in_rdhup}, silence(local), silence(dup)}),
           write(local, 1, "EPIPE")};
     }},

    {"S18", "close without unwatching",
     "Text: close() removes a descriptor that was never duplicated from the set. True of epoll. On "
     "every backend the stale watch receives nothing, not even when another stream gets its "
     "number.",
     streams,
     [](PairKind) -> Script {
       const Step write_to_new =
           write(fresh_peer, 1, "1", {{fresh, "readable(1)", RawReady::in}, silence(local)});
       return {watch({local}), close(local),   reuse_number(),
               write_to_new,   unwatch(local), write_to_new};
     }},

    {"S19", "what one may still do",
     "Text: after read() == 0 or RDHUP one cannot read, but can write; after EPIPE, ERR or HUP one "
     "cannot write. True: writable comes after end_of_stream, and never after hangup.",
     sockets,
     [](PairKind kind) -> Script {
       const std::string_view cut =
           is_tcp(kind) ? reset_behind_fin() : "error(connection_reset) hangup";
       return {watch({local}),
               shutdown_write(peer, {{local, closed_by_peer, in_rdhup}}),
               read(local, "0"),
               ask(local, Interest::writable, {{local, "writable", RawReady::out}}),
               write(local, 1, "1"),
               reset(peer, {{local, cut, hup_err}}),
               ask(local, Interest::writable, {silence(local)}),
               write(local, 1, write_behind_failure())};
     }},

    {"S20", "a half-close does raise RDHUP",
     "Text: EPOLLRDHUP is not triggered if the peer merely shuts down its writing side. WRONG: it "
     "is. "
     "Here it comes alone, because nothing else is asked for.",
     sockets,
     [](PairKind) -> Script {
       return {watch({local}, Interest::peer_closed),
               shutdown_write(peer, {{local, "peer_closed", RawReady::rdhup}}),
               write(local, 1, "1"),
               ask(local, Interest::readable, {{local, "end_of_stream", in_rdhup}})};
     }},

    {"S21", "RDHUP with bytes unread",
     "Text: its sample closes on EPOLLRDHUP, before it has read. WRONG: RDHUP comes at once, and "
     "the "
     "bytes are lost. Close on end_of_stream: it comes when every byte has been read.",
     streams,
     [](PairKind kind) -> Script {
       constexpr std::string_view ends = "readable(10000) end_of_stream";
       constexpr std::string_view over = "readable(10000) end_of_stream hangup";
       Delivers delivers{local, ends, in_rdhup};
       if (kind == PairKind::unix_stream) delivers = {local, over, in_rdhup | RawReady::hup};
       if (kind == PairKind::pipe) delivers = {local, over, RawReady::in | RawReady::hup};
       return {watch({local}, Interest::readable), write_and_close(peer, 10000, {delivers})};
     }},

    {"S22", "unwatch first, close then",
     "Text: take the socket out of the set before close(), or it fires again. The right order: one "
     "end_of_stream, one close, and the next stream with that number hears only its own.",
     sockets,
     [](PairKind) -> Script {
       return {watch({local}), shutdown_write(peer, {{local, closed_by_peer, in_rdhup}}),
               leave(local), reuse_number(),
               write(fresh_peer, 1, "1", {{fresh, "readable(1)", RawReady::in}, silence(local)})};
     }},

    {"S23", "where RDHUP is missing",
     "Text: RDHUP is Linux's own; elsewhere, poll recv(). That is what the emulation does: it "
     "peeks, "
     "and asks TCP for its state. So peer_closed comes with bytes unread, and none is taken.",
     tcp,
     [](PairKind) -> Script {
       const bool hidden = support::system_facts().unread_bytes_hide_fin;
       const Interest interest = Interest::readable | (hidden ? usual : Interest::none);
       return {watch({local}, Interest::peer_closed), write(peer, 3, "3", {silence(local)}),
               shutdown_write(peer, {{local, hidden ? "" : "peer_closed", RawReady::rdhup}}),
               ask(local, interest,
                   {{local,
                     hidden ? "readable(3) peer_closed end_of_stream" : "readable(3) end_of_stream",
                     in_rdhup}})};
     }},

    {"S24", "a peer that is gone without a FIN",
     "Text: SO_KEEPALIVE finds broken connections, RDHUP a peer that closes. True: a dead peer "
     "raises "
     "nothing until keepalive gives it up, and that is an error, not an end.",
     tcp,
     [](PairKind) -> Script {
       return {watch({local}),
               fall_silent({{local, "error(timed_out) hangup", in_rdhup | hup_err}})};
     },
     true, true},
};

}  // namespace

std::span<const Scenario> all() noexcept {
  return rows;
}

}  // namespace pollux::scenarios
