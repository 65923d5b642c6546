// SPDX-License-Identifier: MIT
// Linux epoll: level-triggered, every bit reported by the kernel itself.
#include "epoll_backend.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

namespace pollux {

namespace {

std::error_code last_error() {
  return {errno, std::system_category()};
}

std::uint32_t to_native(RawInterest interest) {
  std::uint32_t events = 0;  // EPOLLHUP and EPOLLERR are always reported (epoll_ctl(2))
  if (any(interest, RawInterest::in)) events |= EPOLLIN;
  if (any(interest, RawInterest::out)) events |= EPOLLOUT;
  if (any(interest, RawInterest::rdhup)) events |= EPOLLRDHUP;
  if (any(interest, RawInterest::edge)) events |= EPOLLET;
  return events;
}

constexpr RawReady spell_out(std::uint32_t events) {
  RawReady ready = RawReady::none;
  if ((events & EPOLLIN) != 0) ready |= RawReady::in;
  if ((events & EPOLLOUT) != 0) ready |= RawReady::out;
  if ((events & EPOLLRDHUP) != 0) ready |= RawReady::rdhup;
  if ((events & EPOLLHUP) != 0) ready |= RawReady::hup;
  if ((events & EPOLLERR) != 0) ready |= RawReady::err;
  return ready;
}

/// By the five low bits, and RDHUP moved down beside them.
constexpr std::array<RawReady, 64> spelt_out = [] {
  static_assert((EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP) < 32 && EPOLLRDHUP == 32 << 8);
  std::array<RawReady, 64> all{};
  for (std::uint32_t i = 0; i < 64; ++i) all[i] = spell_out((i & 31) | (i & 32) << 8);
  return all;
}();

RawReady to_raw(std::uint32_t events) {
  return spelt_out[(events & 31) | (events >> 8 & 32)];
}

constexpr Token wake_token{0xFFFFFFFF, 0};

class EpollBackend final : public Backend {
 public:
  explicit EpollBackend(std::error_code& error) : wake_{error} {
    if (!error) error = reset();
  }
  ~EpollBackend() override {
    if (set_ >= 0) ::close(set_);
  }

  std::string_view name() const noexcept override { return "epoll"; }
  RawReady reports() const noexcept override {
    return RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;
  }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    const int operation = from == RawInterest::none ? EPOLL_CTL_ADD
                          : to == RawInterest::none ? EPOLL_CTL_DEL
                                                    : EPOLL_CTL_MOD;
    return control(set_, operation, handle, to_native(to), token);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const int room = static_cast<int>(std::min(out.size(), events_.size()));
    ++system_calls_;
    const int count = wait_native(room, timeout);
    WaitResult result;
    if (count < 0) {
      if (errno != EINTR) result.error = errno;
      return result;
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      const std::uint64_t data = event.data.u64;  // a copy: the struct is packed
      const auto token = std::bit_cast<Token>(data);
      if (token == wake_token) {
        result.woken = true;
      } else {
        out[result.count++] = {token, to_raw(event.events)};
      }
    }
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  NativeHandle native_handle() const noexcept override { return set_; }

  std::error_code reset() override {
    // A child's wake must not be its parent's.
    if (const auto error = wake_.renew_after_fork()) return error;
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) return last_error();
    // Edge-triggered, so that it never has to be read: each write is a new edge.
    if (const auto error =
            control(set, EPOLL_CTL_ADD, wake_.handle(), EPOLLIN | EPOLLET, wake_token)) {
      ::close(set);
      return error;
    }
    if (set_ >= 0) ::close(set_);
    set_ = set;
    return {};
  }

 private:
  /// To the nanosecond since Linux 5.11 (epoll_wait(2)); before, and where a sandbox does not know
  /// the call, to the millisecond.
  int wait_native(int room, Timeout timeout) {
#if defined(SYS_epoll_pwait2)
    if (precise_ && !timeout.is_infinite() && !timeout.is_zero()) {
      const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout.duration());
      const std::int64_t spec[] = {seconds.count(), (timeout.duration() - seconds).count()};
      const long count =
          ::syscall(SYS_epoll_pwait2, set_, events_.data(), room, spec, nullptr, std::size_t{0});
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
      precise_ = false;
    }
#endif
    return ::epoll_wait(set_, events_.data(), room, timeout.poll_ms());
  }

  std::error_code control(int set, int operation, int handle, std::uint32_t events, Token token) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = std::bit_cast<std::uint64_t>(token);
    ++system_calls_;
    return ::epoll_ctl(set, operation, handle, &event) == 0 ? std::error_code{} : last_error();
  }

  WakeHandle wake_;
  int set_ = -1;
  bool precise_ = true;
  std::array<epoll_event, 512> events_;
};

}  // namespace

std::unique_ptr<Backend> make_epoll_backend(std::error_code& error) {
  auto backend = std::make_unique<EpollBackend>(error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace pollux
