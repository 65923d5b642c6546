// SPDX-License-Identifier: MIT
#include "conformance/scenarios/stage.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "conformance/support/system.hpp"

namespace pollux::scenarios {

namespace {

constexpr int quiet_turns = 8;
constexpr int most_turns = 500;

std::string error_name(const std::error_code& error) {
  constexpr std::pair<std::errc, const char*> names[] = {
      {std::errc::broken_pipe, "broken_pipe"},
      {std::errc::connection_reset, "connection_reset"},
      {std::errc::timed_out, "timed_out"}};
  for (const auto& [condition, name] : names) {
    if (error == condition) return name;
  }
  return std::to_string(error.value());
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

/// Whether what has been told can still grow into `story`: not if a word is wrong already.
bool may_become(const std::vector<std::string>& delivered, std::string_view story) {
  for (const std::string& word : delivered) {
    const std::string_view wanted = story.substr(0, story.find(' '));
    const bool reading = word.starts_with("readable(") && wanted.starts_with("readable(");
    if (word != wanted && !reading) return false;
    story.remove_prefix(std::min(story.size(), wanted.size() + 1));
  }
  return true;
}

}  // namespace

std::string outcome(long result) {
  constexpr std::pair<long, const char*> names[] = {
      {EPIPE, "EPIPE"}, {EAGAIN, "EAGAIN"}, {ECONNRESET, "ECONNRESET"}, {EBADF, "EBADF"}};
  for (const auto& [number, name] : names) {
    if (result == -number) return name;
  }
  return std::to_string(result);
}

Stage::Stage(const support::Contestant& contestant, PairKind kind)
    : kind_{kind}, reactor_{contestant.make()} {
  reactor_.set_tracer(&log_);
  support::Pair pair = support::make_pair(kind);
  number_of_local_ = pair.local.get();
  handle(local) = std::move(pair.local);
  handle(peer) = std::move(pair.peer);
}

void Stage::watch(Name name, Interest interest, bool reads) {
  Part& part = this->part(name);
  part.reads = reads;
  part.watch = reactor_.watch_stream(handle(name).get(), interest,
                                     [this, &part](const StreamEvent& e) { on_event(part, e); });
  part.tokens.push_back(log_.last_watched);
}

void Stage::shut_down(Name name, Shutdown how) {
  if (how == Shutdown::read) {
    support::shutdown_read(handle(name));
  } else {
    support::shutdown_write(handle(name));
  }
  if (support::system_facts().own_shutdown_is_reported) return;
  for (Part& part : parts_) {
    if (part.name == name && part.watch) part.watch.shutdown(how);
  }
}

void Stage::reuse_number() {
  support::Pair pair = support::make_pair(kind_);
  const NativeHandle number = number_of_local_;
  if (pair.peer.get() == number) pair.peer = support::duplicate(pair.peer);
  if (pair.local.get() != number) pair.local = support::duplicate_at(pair.local, number);
  if (pair.local.get() != number)
    throw std::system_error{std::make_error_code(std::errc::device_or_resource_busy),
                            "another thread took the number of a descriptor that was closed here"};
  handle(fresh) = std::move(pair.local);
  handle(fresh_peer) = std::move(pair.peer);
}

std::vector<WatchRecord> Stage::settle(const std::vector<Delivers>& awaited) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + patience_;
  while (awaits(awaited)) {
    const auto left = deadline - Clock::now();
    if (left <= left.zero()) {
      patience_ = patience_.zero();  // it is lost already: no reason to be long about the rest
      break;
    }
    turn(std::min<std::chrono::nanoseconds>(left, std::chrono::milliseconds{50}));
  }
  for (Part& part : parts_) part.futile = 0;
  int quiet = 0;
  for (int turns = 0; quiet < quiet_turns && turns < most_turns; ++turns)
    quiet = turn(std::chrono::nanoseconds::zero()) ? 0 : quiet + 1;

  std::vector<WatchRecord> records;
  for (Part& part : parts_) {
    const bool restless = quiet < quiet_turns && (part.reported || part.called);
    if (part.futile >= quiet_turns || restless) part.delivered.push_back("spins");
    const bool named = std::ranges::find(awaited, part.name, &Delivers::watch) != awaited.end();
    records.push_back(
        {part.name, std::exchange(part.seen, {}), join(std::exchange(part.delivered, {})), named});
  }
  return records;
}

Stage::Part& Stage::part(Name name) {
  const auto found = std::ranges::find(parts_, name, &Part::name);
  if (found != parts_.end()) return *found;
  parts_.emplace_back().name = name;
  return parts_.back();
}

void Stage::on_event(Part& part, const StreamEvent& event) {
  part.called = true;
  for (const Event bit : {Event::peer_closed, Event::readable, Event::end_of_stream, Event::error,
                          Event::hangup, Event::writable}) {
    if (!any(event.events(), bit)) continue;
    if (bit == Event::readable) {
      on_readable(part);
      continue;
    }
    news_ = true;
    part.delivered.push_back(to_string(bit));
    if (bit == Event::error) part.delivered.back() += '(' + error_name(event.error()) + ')';
    if (bit == Event::writable)
      part.watch.set_interest(part.watch.interest() & ~Interest::writable);
  }
}

/// Level-triggered: told for as long as it is true, and then it stands in the story once. An untrue
/// one stands in it with what made it so.
void Stage::on_readable(Part& part) {
  const support::Handle& stream = handle(part.name);
  long count = 0;
  if (part.reads) {
    count = support::read_bytes(stream, 4096);
  } else {
    count = support::unread_bytes(stream);
  }
  const bool goes_on = count > 0 && part.bytes > 0 && !part.delivered.empty() &&
                       part.delivered.back().starts_with("readable");
  if (goes_on && !part.reads) return;
  news_ = true;
  if (goes_on) part.delivered.pop_back();
  part.bytes = goes_on ? part.bytes + count : count;
  const bool bare = !part.reads && count > 0;
  part.delivered.push_back(bare ? "readable" : "readable(" + outcome(part.bytes) + ')');
}

bool Stage::awaits(const std::vector<Delivers>& delivers) {
  bool missing = false;
  for (const Delivers& wanted : delivers) {
    const std::vector<std::string>& delivered = part(wanted.watch).delivered;
    if (!may_become(delivered, wanted.story)) return false;
    missing |= join(delivered) != wanted.story;
  }
  return missing;
}

/// Whether it brought anything new.
bool Stage::turn(std::chrono::nanoseconds timeout) {
  for (Part& part : parts_) part.reported = part.called = false;
  log_.reports.clear();
  news_ = false;
  reactor_.run_once(timeout);
  for (const RawEvent& report : log_.reports) {
    for (Part& part : parts_) {
      if (std::ranges::find(part.tokens, report.token) == part.tokens.end()) continue;
      part.reported = true;
      if (!part.seen.empty() && part.seen.back() == report.ready) continue;
      part.seen.push_back(report.ready);
      news_ = true;
    }
  }
  for (Part& part : parts_) part.futile = part.reported && !part.called ? part.futile + 1 : 0;
  return news_;
}

}  // namespace pollux::scenarios
