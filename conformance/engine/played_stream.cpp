// SPDX-License-Identifier: MIT
#include "conformance/engine/played_stream.hpp"

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include <pollux/unique_handle.hpp>

#include "conformance/engine/protocol.hpp"
#include "conformance/engine/stream_life.hpp"

namespace pollux::differential {

namespace {

StreamOptions options(bool peer_closed) {
  StreamOptions options;
  options.write_high_water = stream_high_water;
  options.write_low_water = 0;
  options.close_timeout = stream_close_timeout;
  options.peer_closed = peer_closed;
  return options;
}

}  // namespace

std::string Letters::next(std::size_t count) const {
  constexpr std::size_t letters = 26;
  std::string text(count, ' ');
  for (std::size_t i = 0; i < count; ++i)
    text[i] = static_cast<char>('a' + static_cast<int>((passed_ + i) % letters));
  return text;
}

PlayedStream::PlayedStream(Reactor& reactor, support::Handle& handle, bool peer_closed)
    : stream_{reactor, UniqueHandle{handle.release()}, options(peer_closed)} {
  stream_.on_event([this](const StreamEvent& event) { deliver(event); });
  stream_.on_drained([this] {
    ++calls_;
    drained_ = true;
  });
  stream_.on_data([this](Stream& stream, Bytes bytes) { deliver(stream, bytes); });
}

void PlayedStream::add(Item::What what, int value) {
  delivered_.push_back({what, value});
}

void PlayedStream::deliver(Stream& stream, Bytes bytes) {
  ++calls_;
  if (bytes.empty()) return add(Item::What::false_readable);
  if (!read_here_.are_next(as_text(bytes))) add(Item::What::garbled);
  const std::size_t count = bytes.size() - (keeps_ ? 1 : 0);
  if (keeps_) stream.keep(1);
  read_here_.pass(count);
  if (count == 0) return;
  // In how many calls they come is nobody's promise.
  if (delivered_.empty() || delivered_.back().what != Item::What::data) add(Item::What::data);
  delivered_.back().value += static_cast<int>(count);
}

void PlayedStream::deliver(const StreamEvent& event) {
  ++calls_;
  if (event.peer_closed()) peer_closed_ = true;
  if (event.readable() || event.writable()) add(Item::What::false_readable);
  if (event.end_of_stream()) add(Item::What::end_of_stream);
  if (event.error()) add(Item::What::error, event.error().default_error_condition().value());
  if (event.hangup()) add(Item::What::hangup);
}

void PlayedStream::report(Trace& trace) {
  const auto is_hangup = [](const Item& item) { return item.what == Item::What::hangup; };
  // Whether on_drained() comes in front of hangup, or not any more, is nobody's promise; nor is its
  // place, and that of peer_closed, among the others.
  const bool hung_up = std::ranges::any_of(delivered_, is_hangup);
  if (std::exchange(drained_, false) && !hung_up) trace.push_back({Item::What::drained});
  if (std::exchange(peer_closed_, false)) trace.push_back({Item::What::peer_closed});
  trace.insert(trace.end(), delivered_.begin(), delivered_.end());
  delivered_.clear();
}

std::string PlayedStream::bytes_of_peer() {
  std::string bytes = written_there_.next(chunk);
  written_there_.pass(chunk);
  return bytes;
}

bool PlayedStream::peer_reads(const support::Handle& peer) {
  std::string text;
  while (support::read_onto(text, peer) > 0) {
  }
  const bool as_written = read_there_.are_next(text);
  read_there_.pass(text.size());
  return as_written;
}

void PlayedStream::write(Trace& trace) {
  std::error_code refused;
  const bool goes_on = stream_.write(written_here_.next(chunk), refused);
  const int error = refused.default_error_condition().value();
  trace.push_back({Item::What::result, refused ? -error : chunk});
  if (refused) return;
  written_here_.pass(chunk);
  if (!goes_on) trace.push_back({Item::What::enough});
}

void PlayedStream::read(std::size_t most, Trace& trace) {
  const Bytes bytes = stream_.read(most);
  if (!read_here_.are_next(as_text(bytes))) add(Item::What::garbled);
  read_here_.pass(bytes.size());
  trace.push_back({Item::What::result, static_cast<int>(bytes.size())});
}

void PlayedStream::apply(Op op, Trace& trace) {
  switch (op) {
    case Op::read:
      return read(std::numeric_limits<std::size_t>::max(), trace);
    case Op::read_one:
      return read(1, trace);
    case Op::write:
      return write(trace);
    case Op::pause:
      return stream_.pause();
    case Op::resume:
      return stream_.resume();
    case Op::keep:
      keeps_ = !keeps_;
      return;
    case Op::shutdown_write:
      return stream_.shutdown_write();
    case Op::close:
      return stream_.close();
    case Op::reset:
      return stream_.abort();
    case Op::abort_when_sent:
      return stream_.abort_when_sent();
    case Op::unwatch:
      stream_ = Stream{};
      return;
    default:
      return;  // ask_peer_closed: an option
  }
}

void PlayedStream::end() {
  stream_.abort();
}

}  // namespace pollux::differential
