// SPDX-License-Identifier: MIT
#include <pollux/watch.hpp>

#include <utility>

#include <pollux/error.hpp>

#include "reactor_core.hpp"

namespace pollux {

namespace detail {

WatchBase::WatchBase(std::shared_ptr<ReactorCore> core, Token token) noexcept
    : core_{std::move(core)}, token_{token} {}
WatchBase::WatchBase(WatchBase&& other) noexcept
    : core_{std::move(other.core_)}, token_{other.token_} {}

WatchBase& WatchBase::operator=(WatchBase&& other) noexcept {
  if (this != &other) {
    reset();
    core_ = std::move(other.core_);
    token_ = other.token_;
  }
  return *this;
}

WatchBase::~WatchBase() {
  reset();
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

Interest WatchBase::interest() const noexcept {
  return core_ ? core_->interest(token_) : Interest::none;
}

void WatchBase::reset() noexcept {
  // Emptied first: the handler that is destroyed with the registration may own this very object.
  if (const std::shared_ptr<ReactorCore> core = std::exchange(core_, nullptr))
    core->unwatch(token_);
}

}  // namespace detail

PeerClosedLatency StreamWatch::peer_closed_latency() const noexcept {
  return core_ ? core_->peer_closed_latency(token_) : PeerClosedLatency::immediate;
}

}  // namespace pollux
