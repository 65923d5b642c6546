// SPDX-License-Identifier: MIT
// Two streams, each of which writes what the other delivers.
#include <pollux/relay.hpp>

#include <array>
#include <cstddef>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "streams/stream_core.hpp"

namespace pollux {

namespace detail {

/// A turn that gives so much is worth the calls that a pipe takes.
constexpr std::size_t worth_splicing = 32 * 1024;
/// A splice that moves less is the last of its turn: there are no more bytes, or they are in small
/// pieces, of which a pipe takes 16.
constexpr std::size_t least_spliced = 8 * 1024;
/// After so many splices the others have their turn.
constexpr int splices_at_once = 8;

/// Owned by its Relay, and by the handlers of its streams: these go when a stream has ended.
class RelayCore : public std::enable_shared_from_this<RelayCore> {
 public:
  RelayCore(Stream first, Stream second) noexcept
      : sides_{{{.stream = std::move(first)}, {.stream = std::move(second)}}} {}
  RelayCore(const RelayCore&) = delete;
  RelayCore& operator=(const RelayCore&) = delete;

  /// May throw std::bad_alloc.
  void start();
  void on_end(Handler<RelayEnd> handler) noexcept { on_end_ = std::move(handler); }
  RelayStats stats() const noexcept { return {sides_[0].delivered, sides_[1].delivered}; }
  NativeHandle native_handle(RelaySide side) const noexcept {
    return sides_[static_cast<std::size_t>(side)].stream.native_handle();
  }
  bool is_open() const noexcept { return !ended_; }
  void end(void (Stream::*how)() noexcept) noexcept;

 private:
  struct Side {
    Stream stream;
    std::uint64_t delivered = 0;
    bool over = false;
  };

  static Handler<RelayEnd> nobody() noexcept {
    return [](const RelayEnd&) {};
  }
  Stream& other(std::size_t side) noexcept { return sides_[1 - side].stream; }
  void take(std::size_t side, Bytes bytes) noexcept;
  bool write(std::size_t side, Bytes bytes) noexcept;
  bool move_by_pipe(std::size_t side) noexcept;
  void ends(std::size_t side, const StreamEvent& event);
  void fail(std::size_t side, std::error_code error) noexcept;

  std::array<Side, 2> sides_;
  Handler<RelayEnd> on_end_ = nobody();
  std::error_code error_;
  RelaySide failed_ = RelaySide::first;
  bool ended_ = false;
};

void RelayCore::start() {
  for (std::size_t side = 0; side < sides_.size(); ++side) {
    Stream& stream = sides_[side].stream;
    StreamCore::of(stream)->is_relayed();
    stream.on_drained([self = shared_from_this(), side] { self->other(side).resume(); });
    stream.on_event(
        [self = shared_from_this(), side](const StreamEvent& event) { self->ends(side, event); });
    stream.on_data([self = shared_from_this(), side](Bytes bytes) { self->take(side, bytes); });
    stream.resume();
    if (StreamCore::of(stream)->has_ended()) other(side).shutdown_write();
  }
}

void RelayCore::take(std::size_t side, Bytes bytes) noexcept {
  StreamCore& from = *StreamCore::of(sides_[side].stream);
  const std::uint64_t before = sides_[side].delivered;
  const bool was_spliced = from.is_spliced();  // the bytes are still in the kernel
  const bool room = was_spliced ? move_by_pipe(side) : write(side, bytes);
  from.set_spliced(sides_[side].delivered - before >= worth_splicing &&
                   (was_spliced || from.can_splice_to(*StreamCore::of(other(side)))));
  if (!room) from.pause();
}

/// Whether the other side takes more.
bool RelayCore::write(std::size_t side, Bytes bytes) noexcept {
  sides_[side].delivered += bytes.size();
  std::error_code error;
  const bool room = other(side).write(bytes, error);
  if (error == Errc::stream_closed) error = system_error_code(std::errc::broken_pipe);
  // Bytes are missing from now on: no end may look like a good one.
  if (error) fail(1 - side, error);
  return room || error;
}

/// Whether the other side takes more.
bool RelayCore::move_by_pipe(std::size_t side) noexcept {
  StreamCore& from = *StreamCore::of(sides_[side].stream);
  bool room = true;
  std::size_t moved = least_spliced;
  for (int splices = 0; splices < splices_at_once && room && moved >= least_spliced; ++splices) {
    room = StreamCore::of(other(side))->move_by_pipe(from, moved);
    sides_[side].delivered += moved;
  }
  return room;
}

void RelayCore::ends(std::size_t side, const StreamEvent& event) {
  if (event.end_of_stream()) other(side).shutdown_write();
  if (event.error()) fail(side, event.error());
  if (!event.hangup()) return;
  sides_[side].over = true;
  if (!sides_[1 - side].over || std::exchange(ended_, true)) return;
  const RelayEnd how{stats(), error_, failed_};
  Handler<RelayEnd> handler = std::exchange(on_end_, nobody());
  handler.call(&how);
}

void RelayCore::fail(std::size_t side, std::error_code error) noexcept {
  if (!error_) {
    error_ = error;
    failed_ = static_cast<RelaySide>(side);
  }
  for (Side& each : sides_) each.stream.abort_when_sent();
}

void RelayCore::end(void (Stream::*how)() noexcept) noexcept {
  const auto self = shared_from_this();
  ended_ = true;
  const Handler<RelayEnd> handler = std::exchange(on_end_, nobody());
  for (Side& side : sides_) {
    (side.stream.*how)();
    const Stream nobodys = std::move(side.stream);  // its handlers go
  }
}

}  // namespace detail

using detail::RelayCore;

Relay::Relay(Stream first, Stream second, std::error_code& error) noexcept {
  error = first && second ? std::error_code{} : Errc::stream_closed;
  if (error) return;
  report_memory(error, [&] {
    auto core = std::make_shared<RelayCore>(std::move(first), std::move(second));
    core_ = core;
    core->start();
    return true;
  });
  if (error && core_) std::exchange(core_, nullptr)->end(&Stream::close);
}
Relay::Relay(Stream first, Stream second) {
  std::error_code error;
  *this = Relay{std::move(first), std::move(second), error};
  if (error) throw std::system_error{error, "pollux::Relay"};
}
Relay& Relay::operator=(Relay&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}
Relay::~Relay() {
  close();
}

void Relay::on_end(Handler<RelayEnd> handler) noexcept {
  if (core_) core_->on_end(std::move(handler));
}
RelayStats Relay::stats() const noexcept {
  return core_ ? core_->stats() : RelayStats{};
}
NativeHandle Relay::native_handle(RelaySide side) const noexcept {
  return core_ ? core_->native_handle(side) : no_handle;
}
void Relay::close() noexcept {
  if (core_) core_->end(&Stream::close);
}
void Relay::abort() noexcept {
  if (core_) core_->end(&Stream::abort);
}
void Relay::detach() noexcept {
  core_ = nullptr;
}
Relay::operator bool() const noexcept {
  return core_ && core_->is_open();
}

}  // namespace pollux
