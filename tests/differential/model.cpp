// SPDX-License-Identifier: MIT
#include "differential/model.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <pollux/events.hpp>

namespace pollux::differential {

namespace {

constexpr int chunk = 2;  // bytes a write writes

bool is_tcp(Kind kind) {
  return kind == Kind::tcp4 || kind == Kind::tcp6 || kind == Kind::connecting ||
         kind == Kind::refused;
}

/// The two ends of one connection, as the protocol has them. "Here" is the watched end.
struct Connection {
  Kind kind;
  int unread = 0;           ///< bytes waiting here
  int peer_unread = 0;      ///< bytes waiting at the peer
  bool fin = false;         ///< the peer's FIN has arrived here
  bool shut_read = false;   ///< by our own SHUT_RD
  bool shut_write = false;  ///< by our own SHUT_WR; AF_UNIX: or by the peer's SHUT_RD
  bool peer_shut_read = false;
  bool peer_shut_write = false;
  bool peer_open = true;
  bool gone = false;  ///< by a reset, or by FINs both ways
  int error = 0;      ///< pending here

  bool inbound_over() const { return fin || shut_read || gone; }
  bool outbound_over() const { return shut_write || gone; }
  bool both_over() const { return inbound_over() && outbound_over(); }

  /// A reset arrives here. After the peer's FIN it shows as a broken pipe (tcp(7); RFC
  /// 9293, 3.10.7).
  void reset() {
    if (gone) return;
    gone = true;
    error = fin ? EPIPE : ECONNRESET;
  }
  /// FINs both ways: the connection is over, in order.
  void close_if_done() {
    if (is_tcp(kind) && fin && shut_write) gone = true;
  }
};

/// The life of the watch, by the rules of the contract.
class Model {
 public:
  Model(const History& history, EarlyNotice notice)
      : history_{history}, notice_{notice}, line_{.kind = history.kind} {
    if (history.kind == Kind::refused) {
      line_.gone = true;
      line_.peer_open = false;
      line_.error = ECONNREFUSED;
    }
  }

  Trace run() {
    if (history_.pace == Pace::each) turn();
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      trace_.push_back({Item::What::op, static_cast<int>(i)});
      apply(history_.ops[i]);
      if (history_.pace == Pace::each) turn();
    }
    if (history_.pace != Pace::each) turn();
    return std::move(trace_);
  }

 private:
  void say(Item::What what, int value = 0) { trace_.push_back({what, value}); }
  void result(int value) { say(Item::What::result, value); }

  void apply(Op op) {
    switch (op) {
      case Op::peer_write:
        return peer_write();
      case Op::peer_shutdown_write:
        return peer_shutdown_write();
      case Op::peer_close:
        return peer_close(false);
      case Op::peer_reset:
        return peer_close(true);
      case Op::peer_read:
        line_.peer_unread = line_.peer_open ? 0 : line_.peer_unread;
        return;
      case Op::peer_shutdown_read:
        if (!line_.peer_open) return;
        line_.peer_shut_read = true;
        if (history_.kind == Kind::unix_stream) line_.shut_write = true;  // writing here: EPIPE
        return;
      case Op::write:
        return write();
      case Op::read:
        return read(line_.unread);
      case Op::read_one:
        return read(1);
      case Op::shutdown_read:
        line_.shut_read = true;
        return;
      case Op::shutdown_write:
        return shutdown_write();
      case Op::pause:
        reading_ = false;
        return;
      case Op::resume:
        reading_ = true;
        held_ = false;
        return;
      case Op::ask_writable:
        writable_ = true;
        return;
      case Op::stop_writable:
        writable_ = false;
        return;
      case Op::ask_peer_closed:
        wants_peer_closed_ = true;
        return;
      case Op::duplicate:
      case Op::close_duplicate:
        return;  // says nothing to anybody (S13)
      case Op::rewatch:
        ended_ = over_ = held_ = told_peer_closed_ = false;
        return;
      case Op::turn:
        return turn();
    }
  }

  void peer_write() {
    if (!line_.peer_open) return;
    const bool tcp = is_tcp(history_.kind);
    if (line_.peer_shut_write || (line_.gone && !line_.fin) ||
        (history_.kind == Kind::unix_stream && line_.shut_read))
      return;
    if (tcp && line_.shut_read && line_.shut_write) {
      // Bytes for a socket that has said it will neither read nor write (RFC 1122, 4.2.2.13).
      line_.reset();
      return;
    }
    line_.unread += chunk;
  }

  void peer_shutdown_write() {
    if (!line_.peer_open || line_.peer_shut_write) return;
    line_.peer_shut_write = true;
    if (line_.gone) return;
    line_.fin = true;
    line_.close_if_done();
  }

  void peer_close(bool abort) {
    if (!line_.peer_open) return;
    line_.peer_open = false;
    if (history_.kind == Kind::pipe_writer) {
      line_.gone = true;
      return;
    }
    if (!is_tcp(history_.kind)) {
      // Both directions at once (rule 6); with bytes unread over there, a reset.
      line_.gone = true;
      if (line_.peer_unread > 0) line_.error = ECONNRESET;
      return;
    }
    if (line_.gone) return;
    if (abort || line_.peer_unread > 0) {
      line_.reset();
      return;
    }
    line_.fin = true;
    line_.close_if_done();
  }

  void shutdown_write() {
    if (line_.shut_write) return;
    line_.shut_write = true;
    line_.close_if_done();
  }

  void write() {
    if (history_.kind == Kind::pipe_writer) return result(line_.gone ? -EPIPE : chunk);
    if (line_.outbound_over()) {
      // TCP hands the pending error to whoever writes; it is told only once (rule 10).
      const int error = is_tcp(history_.kind) ? std::exchange(line_.error, 0) : 0;
      return result(error != 0 ? -error : -EPIPE);
    }
    result(chunk);
    const bool deaf = line_.peer_shut_read && line_.peer_shut_write;
    if (is_tcp(history_.kind) && (!line_.peer_open || deaf)) {
      line_.reset();  // rule 6: the first write succeeds, then everything fires
    } else {
      line_.peer_unread += chunk;
    }
  }

  void read(int most) {
    if (line_.unread > 0) {
      const int count = std::min(most, line_.unread);
      line_.unread -= count;
      return result(count);
    }
    if (is_tcp(history_.kind) && line_.fin) return result(0);
    if (line_.error != 0) return result(-std::exchange(line_.error, 0));
    result(line_.inbound_over() ? 0 : -EAGAIN);
  }

  /// What the loop tells when it runs now.
  void turn() {
    tell_peer_closed(false);
    tell_lifecycle();
    if (over_ || held_) return;
    Event standing = Event::none;
    const bool readable = reading_ && !ended_ && line_.unread > 0;
    if (readable && history_.kind != Kind::pipe_writer) standing |= Event::readable;
    // A write makes progress unless nobody can ever take it; see rule 5 for what is behind bytes.
    if (writable_ && history_.kind != Kind::pipe_reader && !line_.both_over())
      standing |= Event::writable;
    if (standing != Event::none) say(Item::What::standing, static_cast<int>(standing));
  }

  void tell_lifecycle() {
    if (over_ || held_) return;
    if (history_.kind == Kind::pipe_writer) {
      if (line_.gone) fail(EPIPE);
      return;
    }
    if (ended_) {
      if (line_.error != 0) return fail(std::exchange(line_.error, 0));
      if (line_.both_over()) hang_up();
      return;
    }
    if (!reading_) {
      if (line_.error != 0) return fail(std::exchange(line_.error, 0));
      const bool over = history_.kind == Kind::pipe_reader ? line_.gone : line_.both_over();
      if (!over) return;
      if (line_.unread > 0) {
        held_ = true;
        return;
      }
      end();
      return hang_up();
    }
    if (line_.unread > 0) return;  // rule 1
    // A FIN that came before the failure is told before it, where the protocol keeps them apart.
    const bool fin_first = is_tcp(history_.kind) && line_.fin;
    if (line_.error != 0 && !fin_first) return fail(std::exchange(line_.error, 0));
    if (!line_.inbound_over()) return;
    end();
    if (line_.error != 0) return fail(std::exchange(line_.error, 0));
    if (line_.both_over() || history_.kind == Kind::pipe_reader) hang_up();
  }

  void end() {
    tell_peer_closed(true);
    ended_ = true;
    say(Item::What::end_of_stream);
  }
  void fail(int error) {
    say(Item::What::error, error);
    hang_up();
  }
  void hang_up() {
    over_ = true;
    say(Item::What::hangup);
  }

  /// Rule 15. `at_end`: together with end_of_stream, at the latest.
  void tell_peer_closed(bool at_end) {
    if (!wants_peer_closed_ || told_peer_closed_ || ended_ || over_ || held_) return;
    if (history_.kind == Kind::pipe_writer) return;
    const bool tcp = is_tcp(history_.kind);
    // On AF_UNIX nothing tells the peer's end from one's own SHUT_RD. Of a reset whose code the
    // owner took, the end is left to see (rule 10).
    const bool closed = tcp ? line_.fin || line_.gone : line_.inbound_over();
    if (!closed) return;
    if (!at_end) {
      if (line_.error != 0) return;  // with a failure pending, a FIN shows when the bytes are read
      const bool early = notice_ == EarlyNotice::immediate || history_.kind != Kind::unix_stream;
      if (line_.unread > 0 && !early) return;
    }
    told_peer_closed_ = true;
    say(Item::What::peer_closed);
  }

  const History& history_;
  EarlyNotice notice_;
  Connection line_;
  Trace trace_;
  bool reading_ = true;
  bool writable_ = false;
  bool wants_peer_closed_ = false;
  bool ended_ = false;
  bool over_ = false;
  bool held_ = false;
  bool told_peer_closed_ = false;
};

}  // namespace

Trace predict(const History& history, EarlyNotice notice) {
  return Model{history, notice}.run();
}

}  // namespace pollux::differential
