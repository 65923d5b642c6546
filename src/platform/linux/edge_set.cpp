// SPDX-License-Identifier: MIT
#include <bit>
#include <cerrno>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

#include "platform/edge_set.hpp"

namespace pollux::detail::platform {

bool EdgeSet::open() noexcept {
  if (set_ == no_handle) {
    ++calls_;
    set_ = ::epoll_create1(EPOLL_CLOEXEC);
  }
  return set_ != no_handle;
}

void EdgeSet::close() noexcept {
  if (set_ != no_handle) ::close(std::exchange(set_, no_handle));
}

bool EdgeSet::put(NativeHandle handle, RawInterest interest, Token token) noexcept {
  epoll_event event{};
  event.events = EPOLLET;
  if (any(interest, RawInterest::in)) event.events |= EPOLLIN;
  if (any(interest, RawInterest::out)) event.events |= EPOLLOUT;
  if (any(interest, RawInterest::pri)) event.events |= EPOLLPRI;
  event.data.u64 = std::bit_cast<std::uint64_t>(token);
  ++calls_;
  if (::epoll_ctl(set_, EPOLL_CTL_ADD, handle, &event) == 0) return true;
  if (errno != EEXIST) return false;
  ++calls_;
  return ::epoll_ctl(set_, EPOLL_CTL_MOD, handle, &event) == 0;
}

bool EdgeSet::remove(NativeHandle handle) noexcept {
  ++calls_;
  epoll_event nothing{};
  return ::epoll_ctl(set_, EPOLL_CTL_DEL, handle, &nothing) == 0;
}

std::optional<RawEvent> EdgeSet::next() noexcept {
  epoll_event event{};
  ++calls_;
  if (::epoll_wait(set_, &event, 1, 0) != 1) return std::nullopt;
  const std::uint64_t data = event.data.u64;
  RawReady ready = RawReady::none;
  for (const auto& [native, bit] :
       {std::pair{EPOLLIN, RawReady::in}, std::pair{EPOLLPRI, RawReady::pri},
        std::pair{EPOLLOUT, RawReady::out}, std::pair{EPOLLHUP, RawReady::hup},
        std::pair{EPOLLERR, RawReady::err}}) {
    if ((event.events & static_cast<std::uint32_t>(native)) != 0) ready |= bit;
  }
  return RawEvent{std::bit_cast<Token>(data), ready};
}

}  // namespace pollux::detail::platform
