// SPDX-License-Identifier: MIT
#include <utility>

#include <pollux/signal.hpp>

#include "reactor_core.hpp"

namespace pollux::detail {

NoticeBase::NoticeBase(std::shared_ptr<ReactorCore> core, Token token) noexcept
    : core_{std::move(core)}, token_{token} {}
NoticeBase::NoticeBase(NoticeBase&& other) noexcept
    : core_{std::move(other.core_)}, token_{other.token_} {}

NoticeBase& NoticeBase::operator=(NoticeBase&& other) noexcept {
  if (this != &other) {
    reset();
    core_ = std::move(other.core_);
    token_ = other.token_;
  }
  return *this;
}

NoticeBase::~NoticeBase() {
  reset();
}

void NoticeBase::reset() noexcept {
  // Emptied first: the handler that is destroyed with the watch may own this very object.
  if (const std::shared_ptr<ReactorCore> core = std::exchange(core_, nullptr))
    core->end_notice(token_);
}

}  // namespace pollux::detail
