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

template <>
void end_registration<Registered::watch>(CoreBase& core, Token token) noexcept {
  static_cast<EventLoop&>(core).registrations().unwatch(token);
}
template <>
void end_registration<Registered::timer>(CoreBase& core, Token token) noexcept {
  static_cast<EventLoop&>(core).timers().end(token);
}
template <>
void end_registration<Registered::process>(CoreBase& core, Token token) noexcept {
  static_cast<EventLoop&>(core).processes().end(token);
}

void WatchBase::set_interest(Interest interest) {
  std::error_code error;
  set_interest(interest, error);
  if (error) throw std::system_error{error, "pollux::set_interest"};
}

void WatchBase::set_interest(Interest interest, std::error_code& error) noexcept {
  if (core_) {
    core_->registrations().set_interest(token_, interest, error);
  } else {
    error = Errc::watch_closed;
  }
}

bool WatchBase::close() noexcept {
  const CorePointer core = std::move(core_);
  return core && core->registrations().close_watch(token_);
}

Interest WatchBase::interest() const noexcept {
  return core_ ? core_->registrations().interest(token_) : Interest::none;
}

}  // namespace detail

PeerClosedLatency StreamWatch::peer_closed_latency() const noexcept {
  return core_ ? core_->registrations().peer_closed_latency(token_) : PeerClosedLatency::immediate;
}

}  // namespace pollux
