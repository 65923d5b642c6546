// SPDX-License-Identifier: MIT
#include "differential/player.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

namespace pollux::differential {

namespace {

using support::Handle;
using support::Pair;
using support::PairKind;

/// Time stands still while a history is played, but for the moments in which the player lets the
/// reactor's looks come due: a trace does not depend on how fast the machine is.
thread_local std::chrono::steady_clock::time_point now{};

ReactorOptions options() {
  ReactorOptions options;
  options.clock = [] { return now; };
  return options;
}

constexpr std::string_view bytes = "xy";
constexpr int most_turns = 40;

}  // namespace

/// One history on its way.
class Player::Play {
 public:
  Play(Player& player, const History& history) : player_{player}, history_{history} {
    connect();
    watch();
  }

  Trace run() {
    if (history_.pace == Pace::each) settle();
    for (std::size_t i = 0; i < history_.ops.size(); ++i) {
      trace_.push_back({Item::What::op, static_cast<int>(i)});
      apply(history_.ops[i]);
      if (history_.pace == Pace::each) settle();
    }
    if (history_.pace != Pace::each) settle();
    watch_.reset();
    abandon(pair_.local);
    abandon(pair_.peer);
    return std::move(trace_);
  }

 private:
  void connect() {
    switch (history_.kind) {
      case Kind::unix_stream:
        pair_ = support::make_pair(PairKind::unix_stream);
        return;
      case Kind::pipe_reader:
        pair_ = support::make_pair(PairKind::pipe);
        return;
      case Kind::pipe_writer:
        pair_ = support::make_pair(PairKind::pipe);
        std::swap(pair_.local, pair_.peer);
        return;
      case Kind::refused:
        pair_.local = support::start_refused_connect(PairKind::tcp4);
        return;
      case Kind::tcp4:
      case Kind::tcp6:
      case Kind::connecting: {
        const bool six = history_.kind == Kind::tcp6;
        const Handle& listener = six ? player_.listener6_ : player_.listener4_;
        pair_.peer = support::start_connect(six ? PairKind::tcp6 : PairKind::tcp4, listener);
        support::set_no_delay(pair_.peer);
        pair_.local = support::accept_one(listener);
        support::set_no_delay(pair_.local);
        if (history_.kind == Kind::connecting) std::swap(pair_.local, pair_.peer);
        return;
      }
    }
  }

  void watch() {
    watch_ = player_.reactor_.watch_stream(pair_.local.get(), interest_,
                                           [this](const StreamEvent& event) { hear(event); });
  }

  void hear(const StreamEvent& event) {
    if (event.peer_closed()) peer_closed_ = true;
    if (event.end_of_stream()) say(Item::What::end_of_stream);
    if (event.error()) say(Item::What::error, event.error().value());
    if (event.hangup()) say(Item::What::hangup);
    if (event.readable()) {
      standing_ |= Event::readable;
      if (!support::has_unread(pair_.local)) say(Item::What::false_readable);
    }
    if (event.writable()) standing_ |= Event::writable;
  }

  /// Runs the loop until it has nothing new to tell, and has looked at everything that it looks at
  /// on a timer.
  void settle() {
    const std::size_t from = trace_.size();
    Event before = turn();
    bool looked = false;
    for (int turns = 0; turns < most_turns; ++turns) {
      const std::size_t items = trace_.size();
      const std::uint64_t reports = player_.reactor_.stats().reports;
      const Event standing = turn();
      const bool quiet = trace_.size() == items && standing == before;
      before = standing;
      if (!quiet) continue;
      if (looked) {
        // Two turns alike. If nothing stands, nothing may have woken the loop either.
        const bool idle = player_.reactor_.stats().reports == reports;
        if (standing == Event::none && !idle) continue;
        return close_settle(from, standing);
      }
      now += std::chrono::seconds{1};  // longer than any look is put off
      looked = true;
    }
    say(Item::What::spin);
    close_settle(from, before);
  }

  Event turn() {
    standing_ = Event::none;
    player_.reactor_.poll();
    return standing_;
  }

  void close_settle(std::size_t from, Event standing) {
    // Its place between the other events of one run of the loop may differ (rule 15): told first.
    if (std::exchange(peer_closed_, false))
      trace_.insert(trace_.begin() + static_cast<std::ptrdiff_t>(from), {Item::What::peer_closed});
    if (standing != Event::none) say(Item::What::standing, static_cast<int>(standing));
  }

  void apply(Op op) {
    switch (op) {
      case Op::peer_write:
        if (pair_.peer) support::write_bytes(pair_.peer, bytes);
        return;
      case Op::peer_shutdown_write:
        if (pair_.peer) ::shutdown(pair_.peer.get(), SHUT_WR);
        return;
      case Op::peer_close:
        return pair_.peer.close();
      case Op::peer_reset:
        if (pair_.peer) support::reset_connection(pair_.peer);
        return;
      case Op::peer_read:
        if (pair_.peer) support::drain(pair_.peer);
        return;
      case Op::peer_shutdown_read:
        if (pair_.peer) ::shutdown(pair_.peer.get(), SHUT_RD);
        return;
      case Op::write:
        return say(Item::What::result, static_cast<int>(support::write_bytes(pair_.local, bytes)));
      case Op::read:
        return say(Item::What::result, static_cast<int>(support::read_bytes(pair_.local)));
      case Op::read_one:
        return say(Item::What::result, static_cast<int>(support::read_bytes(pair_.local, 1)));
      case Op::shutdown_read:
        ::shutdown(pair_.local.get(), SHUT_RD);
        return;
      case Op::shutdown_write:
        ::shutdown(pair_.local.get(), SHUT_WR);
        return;
      case Op::pause:
        return ask(interest_ & ~Interest::readable);
      case Op::resume:
        return ask(interest_ | Interest::readable);
      case Op::ask_writable:
        return ask(interest_ | Interest::writable);
      case Op::stop_writable:
        return ask(interest_ & ~Interest::writable);
      case Op::ask_peer_closed:
        return ask(interest_ | Interest::peer_closed);
      case Op::duplicate:
        duplicate_ = support::duplicate(pair_.local);
        return;
      case Op::close_duplicate:
        return duplicate_.close();
      case Op::rewatch:
        watch_.reset();
        return watch();
      case Op::turn:
        return settle();
    }
  }

  void ask(Interest interest) {
    interest_ = interest;
    watch_.set_interest(interest);
  }

  void say(Item::What what, int value = 0) { trace_.push_back({what, value}); }

  /// Closes without leaving a TIME_WAIT behind: hundreds of thousands of histories share the ports.
  static void abandon(Handle& handle) {
    const linger at_once{1, 0};
    ::setsockopt(handle.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    handle.close();
  }

  Player& player_;
  const History& history_;
  Pair pair_;
  Handle duplicate_;
  StreamWatch watch_;
  Interest interest_ = Interest::readable;
  Event standing_ = Event::none;  ///< readable and writable, as told in this turn
  bool peer_closed_ = false;      ///< told in this run of the loop
  Trace trace_;
};

Player::Player(std::unique_ptr<Backend> backend)
    : reactor_{std::move(backend), options()},
      listener4_{support::make_listener(PairKind::tcp4)},
      listener6_{support::make_listener(PairKind::tcp6)} {}

std::string why_unavailable(Kind kind) {
  static_cast<void>(kind);
  return {};
}

Trace Player::play(const History& history) {
  return Play{*this, history}.run();
}

EarlyNotice Player::early_notice() const noexcept {
  return any(reactor_.backend_reports(), RawReady::rdhup) ? EarlyNotice::immediate
                                                          : EarlyNotice::after_drain;
}

}  // namespace pollux::differential
