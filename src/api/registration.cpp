// SPDX-License-Identifier: MIT
#include <pollux/watch.hpp>

#include <utility>

#include <pollux/error.hpp>

#include "loop/event_loop.hpp"

namespace pollux {

namespace detail {

void CorePointer::destroy(CoreBase& core) noexcept {
  delete static_cast<EventLoop*>(&core);
}

namespace {

EventLoop& loop_of(CoreBase& core) noexcept {
  return static_cast<EventLoop&>(core);
}

/// Nothing that was registered has ended by itself with the reactor: its owner has it still.
bool is_closed(CoreBase& core) noexcept {
  return loop_of(core).backend() == nullptr;
}

}  // namespace

template <>
void end_registration<Registered::watch>(CoreBase& core, Token token, bool) noexcept {
  loop_of(core).registrations().unwatch(token);
}
template <>
void end_registration<Registered::timer>(CoreBase& core, Token token, bool lent) noexcept {
  TimerService& timers = loop_of(core).timers();
  lent ? timers.end_lent(token) : timers.end(token);
}
template <>
void end_registration<Registered::process>(CoreBase& core, Token token, bool) noexcept {
  loop_of(core).processes().end(token);
}

template <>
bool is_registered<Registered::watch>(CoreBase& core, Token token) noexcept {
  return is_closed(core) || loop_of(core).registrations().is_registered(token);
}
template <>
bool is_registered<Registered::timer>(CoreBase& core, Token token) noexcept {
  return is_closed(core) || loop_of(core).timers().is_registered(token);
}
template <>
bool is_registered<Registered::process>(CoreBase& core, Token token) noexcept {
  return is_closed(core) || loop_of(core).processes().is_registered(token);
}

template <>
Token called_token<Registered::watch>(CoreBase& core) noexcept {
  return loop_of(core).registrations().called_token();
}
template <>
Token called_token<Registered::timer>(CoreBase& core) noexcept {
  return loop_of(core).timers().called_token();
}
template <>
Token called_token<Registered::process>(CoreBase& core) noexcept {
  return loop_of(core).processes().called_token();
}

void WatchBase::change_interest(Interest interest) {
  std::error_code error;
  change_interest(interest, error);
  if (error) throw std::system_error{error, "pollux::set_interest"};
}

void WatchBase::change_interest(Interest interest, std::error_code& error) noexcept {
  if (core_) {
    core_->registrations().set_interest(token_, interest, error);
  } else {
    error = Errc::watch_closed;
  }
}

Interest WatchBase::current_interest() const noexcept {
  return core_ ? core_->registrations().interest(token_) : Interest::none;
}

bool WatchBase::close_descriptor() noexcept {
  if (!core_) return false;
  const CorePointer core = take();
  return core->registrations().close_watch(token_);
}

}  // namespace detail

void StreamWatch::shutdown(Shutdown how) {
  std::error_code error;
  shutdown(how, error);
  if (error) throw std::system_error{error, "pollux::StreamWatch::shutdown"};
}

void StreamWatch::shutdown(Shutdown how, std::error_code& error) noexcept {
  if (core_) {
    core_->registrations().shutdown(token_, how, error);
  } else {
    error = Errc::watch_closed;
  }
}

PeerClosedLatency StreamWatch::peer_closed_latency() const noexcept {
  return core_ ? core_->registrations().peer_closed_latency(token_) : PeerClosedLatency::immediate;
}

}  // namespace pollux
