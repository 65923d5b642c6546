// SPDX-License-Identifier: MIT
#include "conformance/support/recorder.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "conformance/support/contestants.hpp"
#include "conformance/support/system.hpp"

namespace pollux::support {

namespace {

using namespace std::chrono_literals;

/// The sentence of the contract that `event` breaks in a stream that has heard `seen` and is asked
/// for `interest`; "" if it breaks none.
std::string_view broken_by(const StreamEvent& event, Event seen, Interest interest) {
  if (event.events() == Event::none) return "a handler is called with an event";
  if (any(seen, Event::hangup)) return "nothing follows hangup";
  if (any(event.events(), Event::error) != static_cast<bool>(event.error()))
    return "an error has a code";
  if (event.error() && !event.hangup()) return "an error comes together with hangup";
  if (event.writable() && event.hangup()) return "writable is never beside hangup";
  if (event.readable() && (event.end_of_stream() || any(seen, Event::end_of_stream)))
    return "nothing is readable at the end of a stream";
  if (event.end_of_stream() && any(seen, Event::end_of_stream)) return "end_of_stream comes once";
  if (event.peer_closed() && any(seen, Event::peer_closed)) return "peer_closed comes once";
  if (event.peer_closed() && any(seen, Event::end_of_stream))
    return "peer_closed never comes after end_of_stream";
  if (event.readable() && !any(interest, Interest::readable)) return "readable is asked for";
  if (event.writable() && !any(interest, Interest::writable)) return "writable is asked for";
  if (event.peer_closed() && !any(interest, Interest::peer_closed))
    return "peer_closed is asked for";
  if (event.end_of_stream() && !event.hangup() && !any(interest, Interest::readable))
    return "a paused watch learns of the end only with that of both directions";
  return "";
}

}  // namespace

namespace {

/// Those of this thread, the newest last.
std::vector<Recorder*>& recorders() {
  thread_local std::vector<Recorder*> all;
  return all;
}

/// What was ended while no Recorder was there.
std::vector<std::pair<NativeHandle, Shutdown>>& ended() {
  thread_local std::vector<std::pair<NativeHandle, Shutdown>> all;
  return all;
}

void end_own(const Handle& handle, Direction direction, Shutdown how) {
  if (!system_facts().own_shutdown_is_reported) {
    const auto of_it = [&](const Recorder* recorder) { return recorder->handle() == handle.get(); };
    const auto found = std::find_if(recorders().rbegin(), recorders().rend(), of_it);
    if (found != recorders().rend()) return (*found)->watch.shutdown(how);
    ended().emplace_back(handle.get(), how);
  }
  if (const long error = shut_down(handle, direction); error != 0)
    throw std::system_error{static_cast<int>(-error), std::generic_category(), "shutdown"};
}

}  // namespace

void forget_own_ends() {
  ended().clear();
}
void report_own_ends(Recorder& recorder) {
  for (const auto& [handle, how] : ended()) {
    if (handle == recorder.handle()) recorder.watch.shutdown(how);
  }
}

void end_reading(const Handle& handle) {
  end_own(handle, Direction::read, Shutdown::read);
}
void end_writing(const Handle& handle) {
  end_own(handle, Direction::write, Shutdown::write);
}
void end_both(const Handle& handle) {
  end_own(handle, Direction::both, Shutdown::both);
}

bool run_until(Reactor& reactor, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!done()) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= 0s) return false;
    reactor.run_once(left);
  }
  return true;
}

bool run_until(Reactor& reactor, const Handle& peer, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    reactor.poll();
    await(peer, Await::readable, 1ms);
  }
  return true;
}

void settle(Reactor& reactor) {
  for (int i = 0; i < 4; ++i) reactor.poll();
}

std::uint64_t waits_in(std::chrono::milliseconds duration, Reactor& reactor) {
  const std::uint64_t before = reactor.stats().waits;
  reactor.run_for(duration);
  return reactor.stats().waits - before;
}

std::string story(const std::vector<StreamEvent>& events, Event ignored) {
  std::string text;
  const auto add = [&text](std::string_view word) {
    if (!text.empty()) text += ' ';
    text += word;
  };
  bool readable = false;
  bool writable = false;
  const auto end_phase = [&] {
    if (std::exchange(readable, false)) add("readable");
    if (std::exchange(writable, false)) add("writable");
  };
  for (const StreamEvent& event : events) {
    for (const Event bit : {Event::peer_closed, Event::readable, Event::end_of_stream, Event::error,
                            Event::hangup, Event::writable}) {
      if (!any(event.events(), bit) || any(ignored, bit)) continue;
      if (bit == Event::readable) {
        readable = true;
      } else if (bit == Event::writable) {
        writable = true;
      } else {
        end_phase();
        add(to_string(bit));
      }
    }
  }
  end_phase();
  return text;
}

Recorder::Recorder(Reactor& reactor, const Handle& handle, Interest interest)
    : watch{reactor.watch_stream(handle.get(), interest,
                                 [this](const StreamEvent& event) { keep(event); })},
      reactor_{reactor},
      handle_{handle.get()},
      once_{any(interest, Interest::one_shot) ? interest : Interest::none} {
  recorders().push_back(this);
}

Recorder::~Recorder() {
  std::erase(recorders(), this);
}

void Recorder::keep(const StreamEvent& event) {
  events_.push_back(event);
  if (broken_.empty())
    broken_ = broken_by(event, seen_, once_ == Interest::none ? watch.interest() : once_);
  seen_ |= event.events();
  if (event.error()) error_ = event.error();
  if (reaction_) reaction_(event);
}

std::string Recorder::unheard() const {
  std::string text =
      story({events_.begin() + static_cast<std::ptrdiff_t>(received_), events_.end()}, ignored_);
  if (!broken_.empty()) text.append(", but ").append(broken_);
  return text;
}

std::string Recorder::events_until(std::string_view expected) {
  if (!expected.empty()) run_until(reactor_, [&] { return unheard() == expected; });
  settle(reactor_);
  std::string received = unheard();
  forget();
  return received;
}

}  // namespace pollux::support
