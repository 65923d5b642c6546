// SPDX-License-Identifier: MIT
#include "conformance/engine/model.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "conformance/engine/life.hpp"
#include "conformance/engine/protocol.hpp"
#include "conformance/engine/stream_life.hpp"

namespace pollux::differential {

namespace {

/// Who sits at the lines, and what they do there.
class Model {
 public:
  Model(const History& history, EarlyNotice notice)
      : history_{history},
        shape_{shape(history.kind)},
        lines_(2, Line{descriptor_kind(history.kind)}) {
    if (shape_.streamed) {
      stream_ = &add<StreamLife>(notice, 0);
    } else {
      for (int i = 0; i < shape_.watched; ++i) add<Life>(notice, i);
    }
    // What a stream is asked for is an option of it.
    const bool asks = std::ranges::find(history.ops, Op::ask_peer_closed) != history.ops.end();
    if (stream_ != nullptr && asks) stream_->ask_peer_closed();
    descriptors_.resize(shape_.seats.size());
    if (history.kind == Kind::refused) descriptor(1).open = false;
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
  struct Descriptor {
    bool open = true;
    bool duplicate = false;
  };

  const Seat& seat(int i) const { return shape_.seats[static_cast<std::size_t>(i)]; }
  Descriptor& descriptor(int i) { return descriptors_[static_cast<std::size_t>(i)]; }
  Line& line(int i) { return lines_[seat(i).line]; }
  Life& life() { return *lives_[static_cast<std::size_t>(here_)]; }

  template <class Made>
  Made& add(EarlyNotice notice, int i) {
    auto made =
        std::make_unique<Made>(descriptor_kind(history_.kind), notice, line(i), seat(i).end, i);
    Made& added = *made;
    lives_.push_back(std::move(made));
    return added;
  }

  void result(int value) { trace_.push_back({Item::What::result, value}); }

  void turn() {
    for (const auto& life : lives_) life->turn(trace_);
    if (stream_ != nullptr) look_at_peer();
  }

  void apply(Op op) {
    if (op == Op::turn) return turn();
    if (op == Op::swap) {
      here_ = 1 - here_;
    } else if (is_of_the_peer(op)) {
      apply_there(op);
    } else if (stream_ != nullptr) {
      apply_to_stream(op);
    } else if (!apply_to_watch(op)) {
      apply_here(op);
    }
  }

  void apply_there(Op op) {
    const int there = seat(here_).opposite;
    const int end = seat(there).end;
    if (!descriptor(there).open) return;
    switch (op) {
      case Op::peer_write:
        line(there).write(end);
        return;
      case Op::peer_urgent:
        return line(there).write_urgent(end);
      case Op::peer_shutdown_write:
        return line(there).shutdown_write(end);
      case Op::peer_shutdown_read:
        return line(there).shutdown_read(end);
      case Op::peer_read:
        return line(there).drain(end);
      case Op::peer_discard:
        return line(there).discard(end);
      case Op::peer_reset:
        line(there).set_linger_zero(end);
        [[fallthrough]];
      default:
        return close(there);
    }
  }

  void apply_to_stream(Op op) {
    switch (op) {
      case Op::read:
        return result(stream_->read(std::numeric_limits<int>::max()));
      case Op::read_one:
        return result(stream_->read(1));
      case Op::write: {
        const int written = stream_->write();
        result(written);
        if (written > 0 && stream_->has_enough()) trace_.push_back({Item::What::enough});
        return;
      }
      case Op::pause:
        return stream_->pause();
      case Op::resume:
        return stream_->resume();
      case Op::keep:
        return stream_->keep();
      case Op::shutdown_write:
        return stream_->shutdown_write();
      case Op::close:
        return stream_->close();
      case Op::reset:
        return stream_->abort();
      case Op::abort_when_sent:
        return stream_->abort_when_sent();
      case Op::unwatch:
        return stream_->unwatch();
      default:
        return;  // ask_peer_closed
    }
  }

  /// False if it is not about a watch.
  bool apply_to_watch(Op op) {
    switch (op) {
      case Op::pause:
        return life().pause(), true;
      case Op::resume:
        return life().resume(), true;
      case Op::ask_writable:
        return life().ask_writable(true), true;
      case Op::stop_writable:
        return life().ask_writable(false), true;
      case Op::ask_peer_closed:
        return life().ask_peer_closed(), true;
      case Op::rewatch:
        if (descriptor(here_).open) life().watch();
        return true;
      case Op::unwatch:
        return life().unwatch(), true;
      default:
        return false;
    }
  }

  void apply_here(Op op) {
    const int end = seat(here_).end;
    Line& at = line(here_);
    if (op == Op::close_duplicate) return close_duplicate(here_);
    if (!descriptor(here_).open) return;
    switch (op) {
      case Op::write:
      case Op::read:
      case Op::read_one:
      case Op::read_elsewhere:
        return move_bytes(op, at, end);
      case Op::read_urgent:
        return result(at.read_urgent(end));
      case Op::peek:
        return result(at.peek(end));
      case Op::relay:
        return relay();
      case Op::shutdown_read:
        return at.shutdown_read(end);
      case Op::shutdown_write:
        return at.shutdown_write(end);
      case Op::low_water:
        return at.set_low_water(end);
      case Op::packet_mode:
        return at.set_packet_mode(end);
      case Op::duplicate:
        descriptor(here_).duplicate = true;  // says nothing to anybody (S13)
        return;
      case Op::reset:
        at.set_linger_zero(end);
        [[fallthrough]];
      default:
        close(here_);
        return look();
    }
  }

  void move_bytes(Op op, Line& at, int end) {
    const bool failed = at[end].error != 0;
    result(op == Op::write ? at.write(end) : op == Op::read ? at.read_all(end) : at.read(end, 1));
    if (shape_.readiness && failed && at[end].error == 0 && life().take_failure())
      trace_.push_back({Item::What::had_been_delivered});
  }

  void relay() {
    const int count = line(here_).read_all(seat(here_).end);
    result(count);
    const int other = 1 - here_;
    if (count > 0 && descriptor(other).open) result(line(other).write(seat(other).end, count));
  }

  /// Its watch ends before it.
  void close(int i) {
    if (i < shape_.watched) lives_[static_cast<std::size_t>(i)]->unwatch();
    descriptor(i).open = false;
    close_if_last(i);
  }
  void close_duplicate(int i) {
    if (!std::exchange(descriptor(i).duplicate, false)) return;
    close_if_last(i);
  }
  void close_if_last(int closed) {
    for (std::size_t i = 0; i < shape_.seats.size(); ++i) {
      const Seat& other = shape_.seats[i];
      if (other.line != seat(closed).line || other.end != seat(closed).end) continue;
      if (descriptors_[i].open || descriptors_[i].duplicate) return;
    }
    line(closed).close(seat(closed).end);
  }

  /// What there is to see at the other side.
  void look() {
    const int there = seat(here_).opposite;
    if (!descriptor(there).open) return;
    const Sight sight = line(there).look(seat(there).end);
    trace_.push_back({Item::What::peer_sees, static_cast<int>(sight)});
  }

  /// After a run of the loop: what has arrived at the peer, as far as that is new.
  void look_at_peer() {
    const int there = seat(here_).opposite;
    if (!descriptor(there).open) return;
    const int end = seat(there).end;
    const int unread = line(there).can_read(end) ? line(there)[end].unread() : 0;
    const Sight sight = line(there).look(end);
    if (std::exchange(peer_has_, unread) != unread)
      trace_.push_back({Item::What::peer_has, unread});
    if (std::exchange(peer_sees_, sight) != sight)
      trace_.push_back({Item::What::peer_sees, static_cast<int>(sight)});
  }

  const History& history_;
  const Shape& shape_;
  std::vector<Line> lines_;
  std::vector<std::unique_ptr<Life>> lives_;
  StreamLife* stream_ = nullptr;  ///< the only life, if it is a stream's
  int peer_has_ = 0;
  Sight peer_sees_ = Sight::nothing;
  std::vector<Descriptor> descriptors_;
  int here_ = 0;
  Trace trace_;
};

}  // namespace

Trace predict(const History& history, EarlyNotice notice) {
  return Model{history, notice}.run();
}

}  // namespace pollux::differential
