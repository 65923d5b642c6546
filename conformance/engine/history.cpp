// SPDX-License-Identifier: MIT
#include "conformance/engine/history.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace pollux::differential {

namespace {

constexpr std::array<Pace, 3> paces{Pace::each, Pace::at_end, Pace::marked};
constexpr std::array<std::string_view, 3> pace_names{"each", "at_end", "marked"};
constexpr std::array<std::string_view, op_count + 1> op_names{
    "peer_write",      "peer_shutdown_write",
    "peer_close",      "peer_reset",
    "write",           "read",
    "shutdown_read",   "shutdown_write",
    "pause",           "resume",
    "ask_writable",    "stop_writable",
    "ask_peer_closed", "read_one",
    "peer_read",       "peer_shutdown_read",
    "duplicate",       "close_duplicate",
    "rewatch",         "unwatch",
    "close",           "reset",
    "read_elsewhere",  "peer_urgent",
    "read_urgent",     "peek",
    "low_water",       "packet_mode",
    "peer_discard",    "swap",
    "relay",           "keep",
    "abort_when_sent", "|"};

constexpr std::array<Seat, 2> one_seat{{{0, 0, 1, 0}, {0, 1, 0, 0}}};
constexpr std::array<Seat, 4> relay_seats{{{0, 0, 2, 0}, {1, 0, 3, 0}, {0, 1, 0, 0}, {1, 1, 1, 0}}};
constexpr std::array<Seat, 3> twice_seats{{{0, 0, 2, 0}, {0, 0, 2, 1}, {0, 1, 0, 0}}};

struct Known {
  Kind kind;
  std::string_view name;
  Shape shape;
};

constexpr Known known[] = {
    {Kind::tcp4, "tcp4", {Family::tcp, 0, false, 1, one_seat}},
    {Kind::tcp6, "tcp6", {Family::tcp, 1, false, 1, one_seat}},
    {Kind::unix_stream, "unix", {Family::unix_stream, 0, false, 1, one_seat}},
    {Kind::pipe_reader, "pipe_reader", {Family::pipe, 0, false, 1, one_seat}},
    {Kind::pipe_writer, "pipe_writer", {Family::pipe, 0, false, 1, one_seat}},
    {Kind::connecting, "connecting", {Family::tcp, 1, false, 1, one_seat}},
    {Kind::refused, "refused", {Family::tcp, 0, false, 1, one_seat}},
    {Kind::mptcp, "mptcp", {Family::mptcp, 2, false, 1, one_seat}},
    {Kind::fifo, "fifo", {Family::fifo, 1, false, 1, one_seat}},
    {Kind::terminal, "terminal", {Family::terminal, 1, false, 1, one_seat}},
    {Kind::master, "master", {Family::terminal, 1, false, 1, one_seat}},
    {Kind::seqpacket, "seqpacket", {Family::seqpacket, 1, true, 1, one_seat}},
    {Kind::udp, "udp", {Family::udp, 1, true, 1, one_seat}},
    {Kind::listener, "listener", {Family::listener, 1, true, 1, one_seat}},
    {Kind::tcp4_both, "tcp4_both", {Family::tcp, 1, false, 2, one_seat}},
    {Kind::unix_both, "unix_both", {Family::unix_stream, 1, false, 2, one_seat}},
    {Kind::tcp4_relay, "tcp4_relay", {Family::tcp, 1, false, 2, relay_seats}},
    {Kind::tcp4_twice, "tcp4_twice", {Family::tcp, 1, false, 2, twice_seats}},
    {Kind::unix_twice, "unix_twice", {Family::unix_stream, 1, false, 2, twice_seats}},
    {Kind::streamed_tcp4, "tcp4_stream", {Family::tcp, 0, false, 1, one_seat, Kind::tcp4}},
    {Kind::streamed_unix,
     "unix_stream",
     {Family::unix_stream, 0, false, 1, one_seat, Kind::unix_stream}},
    {Kind::streamed_pipe_reader,
     "pipe_reader_stream",
     {Family::pipe, 0, false, 1, one_seat, Kind::pipe_reader}},
    {Kind::streamed_pipe_writer,
     "pipe_writer_stream",
     {Family::pipe, 0, false, 1, one_seat, Kind::pipe_writer}},
};

constexpr auto kinds = [] {
  std::array<Kind, std::size(known)> all{};
  std::ranges::transform(known, all.begin(), &Known::kind);
  return all;
}();

constexpr std::size_t first_of_few_kinds = static_cast<std::size_t>(Op::packet_mode);
constexpr std::size_t first_of_streams = static_cast<std::size_t>(Op::keep);

bool has_peer(Kind kind) {
  return kind != Kind::refused;
}

/// What bytes, or the end of them, can be done to.
bool moves_bytes(Kind kind, Op op) {
  const bool in = kind != Kind::pipe_writer;
  const bool out = kind != Kind::pipe_reader && kind != Kind::listener;
  switch (op) {
    case Op::peer_write:
      return in && has_peer(kind);
    case Op::read:
      return in;
    case Op::read_one:
    case Op::read_elsewhere:
      // A master in packet mode may tell that there are bytes without giving one.
      return in && kind != Kind::listener && kind != Kind::master;
    case Op::write:
      return out;
    default:
      return out && has_peer(kind);  // peer_read
  }
}

bool shuts_down(Family family) {
  return family == Family::tcp || family == Family::mptcp || family == Family::unix_stream ||
         family == Family::seqpacket;
}

}  // namespace

const Shape& shape(Kind kind) noexcept {
  return known[static_cast<std::size_t>(kind)].shape;
}
std::span<const Kind> all_kinds() noexcept {
  return kinds;
}
std::span<const Pace> all_paces() noexcept {
  return paces;
}
std::string_view to_string(Kind kind) noexcept {
  return known[static_cast<std::size_t>(kind)].name;
}
std::string_view to_string(Op op) noexcept {
  return op_names[static_cast<std::size_t>(op)];
}
std::string_view to_string(Pace pace) noexcept {
  return pace_names[static_cast<std::size_t>(pace)];
}

std::optional<Kind> kind_from(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(known, name, &Known::name);
  if (found == std::end(known)) return std::nullopt;
  return found->kind;
}

bool is_core(Kind kind, Op op) noexcept {
  const auto number = static_cast<std::size_t>(op);
  // A stream reads by itself; but it has more ways to end.
  if (shape(kind).streamed)
    return (number < core_op_count && op != Op::read) || op == Op::close || op == Op::reset;
  return number < core_op_count || (number >= first_of_few_kinds && number < first_of_streams);
}

bool is_of_the_peer(Op op) noexcept {
  return to_string(op).starts_with("peer_");
}

namespace {

bool applies_to_stream(Kind descriptor, Op op) {
  const bool reads = descriptor != Kind::pipe_writer;
  switch (op) {
    case Op::peer_read:
    case Op::peer_write:
    case Op::peer_shutdown_write:
    case Op::peer_shutdown_read:
    case Op::peer_close:
    case Op::peer_reset:
    case Op::write:
    case Op::ask_peer_closed:
      return applies(descriptor, op);
    case Op::read:
    case Op::read_one:
    case Op::pause:
    case Op::resume:
    case Op::keep:
      return reads;
    case Op::shutdown_write:
      return descriptor != Kind::pipe_reader;
    default:
      return op == Op::close || op == Op::reset || op == Op::abort_when_sent || op == Op::unwatch ||
             op == Op::turn;
  }
}

}  // namespace

bool applies(Kind kind, Op op) noexcept {
  const Shape& is = shape(kind);
  if (is.streamed) return applies_to_stream(*is.streamed, op);
  const bool stream_socket = is.family == Family::tcp || is.family == Family::unix_stream;
  switch (op) {
    case Op::peer_write:
    case Op::read:
    case Op::read_one:
    case Op::read_elsewhere:
    case Op::write:
    case Op::peer_read:
      return moves_bytes(kind, op);
    case Op::peer_close:
      return has_peer(kind) && kind != Kind::listener;
    case Op::shutdown_write:
      return shuts_down(is.family);
    case Op::shutdown_read:  // over MPTCP, what comes behind it cannot be told from it
      return shuts_down(is.family) && is.family != Family::mptcp;
    case Op::peer_shutdown_write:
      return shuts_down(is.family) && has_peer(kind);
    case Op::peer_shutdown_read:
      return shuts_down(is.family) && has_peer(kind) && is.family != Family::mptcp;
    case Op::peer_reset:  // of AF_UNIX, a close with bytes unread is one
      return (is.family == Family::tcp || is.family == Family::mptcp) && has_peer(kind);
    case Op::reset:
      return is.family == Family::tcp;
    case Op::ask_peer_closed:
      return !is.readiness;
    case Op::peer_urgent:
      return stream_socket && has_peer(kind);
    case Op::read_urgent:  // on AF_UNIX it leaves the kernel saying that there is one (contract.md)
      return is.family == Family::tcp;
    case Op::peek:
      return stream_socket;
    case Op::low_water:  // AF_UNIX does not heed it
      return is.family == Family::tcp;
    case Op::packet_mode:
    case Op::peer_discard:
      return kind == Kind::master;
    case Op::swap:
      return is.watched > 1;
    case Op::relay:
      return kind == Kind::tcp4_relay;
    case Op::keep:
    case Op::abort_when_sent:
      return false;
    default:
      return true;
  }
}

namespace {

/// Over MPTCP a write to somebody who will not read it is answered when the kernel's worker comes
/// to it, or never; and a reset wipes out what was known of a FIN, under a code that depends on the
/// worker.
void keep_what_mptcp_reports(std::vector<Op>& ops) {
  bool fin_here = false;
  bool fin_there = false;
  bool unread_here = false;
  bool unread_there = false;
  bool gone_there = false;
  bool asked = false;
  bool was_reset = false;
  std::erase_if(ops, [&](Op op) {
    const bool resets = (op == Op::close && unread_here) || op == Op::peer_reset ||
                        (op == Op::peer_close && unread_there);
    if (resets && (fin_here || fin_there || asked)) return true;
    if (op == Op::write && gone_there) return true;
    const bool asks = op == Op::ask_peer_closed || op == Op::ask_writable;
    if (asks && was_reset) return true;
    asked |= asks;
    was_reset |= resets;
    fin_here |= op == Op::shutdown_write || op == Op::close;
    unread_here = (unread_here && op != Op::read) || op == Op::peer_write;
    gone_there |= op == Op::peer_close;
    fin_there |= op == Op::peer_shutdown_write || op == Op::peer_close;
    unread_there = (unread_there && op != Op::peer_read) || op == Op::write;
    return false;
  });
}

/// When its peer's kernel acknowledges a FIN is its own affair, and so when the reset behind it
/// comes.
void keep_what_is_acknowledged(std::vector<Op>& ops) {
  bool fin_here = false;
  std::erase_if(ops, [&](Op op) {
    if (op == Op::abort_when_sent) return fin_here;
    fin_here |= op == Op::shutdown_write || op == Op::close;
    return false;
  });
}

}  // namespace

void keep_what_goes_together(History& history) {
  if (history.kind == Kind::mptcp) keep_what_mptcp_reports(history.ops);
  if (history.kind == Kind::streamed_tcp4) keep_what_is_acknowledged(history.ops);
  bool urgent = false;
  bool counted = false;
  std::erase_if(history.ops, [&](Op op) {
    const bool is_urgent = op == Op::peer_urgent;
    const bool counts = op == Op::peek || op == Op::low_water;
    if ((is_urgent && counted) || (counts && urgent)) return true;
    urgent |= is_urgent;
    counted |= counts;
    return false;
  });
}

std::string to_string(const History& history) {
  std::string text{to_string(history.kind)};
  text += ' ';
  text += to_string(history.pace);
  text += ':';
  for (const Op op : history.ops) {
    text += ' ';
    text += to_string(op);
  }
  return text;
}

std::optional<History> parse(std::string_view text) {
  std::istringstream words{std::string{text}};
  std::string word;
  History history;
  words >> word;
  const auto kind = kind_from(word);
  if (!kind) return std::nullopt;
  history.kind = *kind;
  words >> word;
  if (!word.ends_with(':')) return std::nullopt;
  word.pop_back();
  const auto* const pace = std::ranges::find(pace_names, word);
  if (pace == pace_names.end()) return std::nullopt;
  history.pace = paces[static_cast<std::size_t>(pace - pace_names.begin())];
  while (words >> word) {
    const auto* const name = std::ranges::find(op_names, word);
    if (name == op_names.end()) return std::nullopt;
    const auto op = static_cast<Op>(name - op_names.begin());
    if (!applies(history.kind, op)) return std::nullopt;
    if (op == Op::turn && history.pace != Pace::marked) return std::nullopt;
    history.ops.push_back(op);
  }
  History whole = history;
  keep_what_goes_together(whole);
  if (whole != history) return std::nullopt;
  return history;
}

}  // namespace pollux::differential
