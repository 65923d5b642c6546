// SPDX-License-Identifier: MIT
#include "differential/history.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace pollux::differential {

namespace {

constexpr std::array<Kind, 7> kinds{Kind::tcp4,        Kind::tcp6,        Kind::unix_stream,
                                    Kind::pipe_reader, Kind::pipe_writer, Kind::connecting,
                                    Kind::refused};
constexpr std::array<std::string_view, 7> kind_names{
    "tcp4", "tcp6", "unix", "pipe_reader", "pipe_writer", "connecting", "refused"};
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
    "rewatch",         "|"};

}  // namespace

std::span<const Kind> all_kinds() noexcept {
  return kinds;
}
std::span<const Pace> all_paces() noexcept {
  return paces;
}
std::string_view to_string(Kind kind) noexcept {
  return kind_names[static_cast<std::size_t>(kind)];
}
std::string_view to_string(Op op) noexcept {
  return op_names[static_cast<std::size_t>(op)];
}
std::string_view to_string(Pace pace) noexcept {
  return pace_names[static_cast<std::size_t>(pace)];
}

std::optional<Kind> kind_from(std::string_view name) noexcept {
  for (const Kind kind : kinds) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

bool applies(Kind kind, Op op) noexcept {
  if (op == Op::turn) return true;
  switch (kind) {
    case Kind::tcp4:
    case Kind::tcp6:
    case Kind::connecting:
      return true;
    case Kind::unix_stream:
      return op != Op::peer_reset;  // a close with bytes unread is one
    case Kind::pipe_reader:
      return op != Op::peer_shutdown_write && op != Op::peer_reset && op != Op::write &&
             op != Op::shutdown_read && op != Op::shutdown_write && op != Op::peer_read &&
             op != Op::peer_shutdown_read;
    case Kind::pipe_writer:
      return op == Op::write || op == Op::peer_read || op == Op::peer_close || op == Op::pause ||
             op == Op::resume || op == Op::ask_writable || op == Op::stop_writable ||
             op == Op::ask_peer_closed || op == Op::duplicate || op == Op::close_duplicate ||
             op == Op::rewatch;
    case Kind::refused:
      return op != Op::peer_write && op != Op::peer_shutdown_write && op != Op::peer_close &&
             op != Op::peer_reset && op != Op::peer_read && op != Op::peer_shutdown_read;
  }
  return false;
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
  const auto pace = std::ranges::find(pace_names, word);
  if (pace == pace_names.end()) return std::nullopt;
  history.pace = paces[static_cast<std::size_t>(pace - pace_names.begin())];
  while (words >> word) {
    const auto name = std::ranges::find(op_names, word);
    if (name == op_names.end()) return std::nullopt;
    const auto op = static_cast<Op>(name - op_names.begin());
    if (!applies(history.kind, op)) return std::nullopt;
    if (op == Op::turn && history.pace != Pace::marked) return std::nullopt;
    history.ops.push_back(op);
  }
  return history;
}

}  // namespace pollux::differential
