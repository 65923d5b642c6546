// SPDX-License-Identifier: MIT
#include <pollux/watch.hpp>

#include <memory>
#include <utility>

#include <pollux/error.hpp>

#include "reactor_core.hpp"

namespace pollux {

namespace detail {

void end_registration(Registered what, ReactorCore& core, Token token) noexcept {
  switch (what) {
    case Registered::watch:
      return core.unwatch(token);
    case Registered::timer:
      return core.end_timer(token);
    case Registered::notice:
      return core.end_notice(token);
  }
}

void WatchBase::set_interest(Interest interest) {
  std::error_code error;
  set_interest(interest, error);
  if (error) throw std::system_error{error, "pollux::set_interest"};
}

void WatchBase::set_interest(Interest interest, std::error_code& error) noexcept {
  if (core_) {
    core_->set_interest(token_, interest, error);
  } else {
    error = Errc::watch_closed;
  }
}

bool WatchBase::close() noexcept {
  const std::shared_ptr<ReactorCore> core = std::exchange(core_, nullptr);
  return core != nullptr && core->close_watch(token_);
}

Interest WatchBase::interest() const noexcept {
  return core_ ? core_->interest(token_) : Interest::none;
}

}  // namespace detail

PeerClosedLatency StreamWatch::peer_closed_latency() const noexcept {
  return core_ ? core_->peer_closed_latency(token_) : PeerClosedLatency::immediate;
}

}  // namespace pollux
