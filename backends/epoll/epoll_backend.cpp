// SPDX-License-Identifier: MIT
// Linux epoll: level-triggered, every bit reported by the kernel itself.
#include "epoll_backend.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <new>
#include <utility>

#include <linux/time_types.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "write_probe.hpp"

namespace pollux {

namespace {

using detail::epoll::WriteProbe;

std::error_code last_error() {
  return {errno, std::system_category()};
}

/// By the bits of RawInterest. EPOLLHUP and EPOLLERR are always reported (epoll_ctl(2)).
constexpr auto native_events = [] {
  std::array<std::uint32_t, 64> events{};
  for (unsigned bits = 0; bits < events.size(); ++bits) {
    const auto interest = static_cast<RawInterest>(bits);
    if (any(interest, RawInterest::in)) events[bits] |= EPOLLIN;
    if (any(interest, RawInterest::out)) events[bits] |= EPOLLOUT;
    if (any(interest, RawInterest::rdhup)) events[bits] |= EPOLLRDHUP;
    if (any(interest, RawInterest::edge)) events[bits] |= EPOLLET;
    if (any(interest, RawInterest::pri)) events[bits] |= EPOLLPRI;
  }
  return events;
}();

std::uint32_t to_native(RawInterest interest) {
  return native_events[static_cast<std::size_t>(interest)];
}

constexpr auto all_bits =
    RawReady::in | RawReady::pri | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;

// So that the bits of a report are copied, and not translated one by one.
static_assert(RawReady{EPOLLIN} == RawReady::in && RawReady{EPOLLPRI} == RawReady::pri &&
              RawReady{EPOLLOUT} == RawReady::out && RawReady{EPOLLRDHUP} == RawReady::rdhup &&
              RawReady{EPOLLHUP} == RawReady::hup && RawReady{EPOLLERR} == RawReady::err);

constexpr RawReady to_raw(std::uint32_t events) {
  return static_cast<RawReady>(events & static_cast<std::uint32_t>(all_bits));
}

constexpr Token wake_token{0xFFFFFFFF, 0};
constexpr auto wake_data = std::bit_cast<std::uint64_t>(wake_token);

class EpollBackend final : public Backend {
 public:
  explicit EpollBackend(std::error_code& error) : wake_{system_calls_, error} {
    if (!error) error = reset();
  }
  ~EpollBackend() override {
    if (set_ >= 0) ::close(set_);
  }

  std::string_view name() const noexcept override { return "epoll"; }
  RawReady reports() const noexcept override { return all_bits; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (WriteProbe::Entry* const pending = write_probe_.find(handle))
      return change_pending(*pending, from, to, token);
    if (from != RawInterest::none && wants_to_write(to) && !wants_to_write(from) && !is_shared_)
      return probe_first({handle, to_native(from), to_native(to), token});
    return change(handle, from, to, token);
  }

  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    return set_interest(handle, from, RawInterest::none, token);  // says who the number is, too
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    return write_probe_.empty() ? wait_in_kernel(out, timeout) : probe_and_wait(out, timeout);
  }

  void wake() noexcept override { wake_.signal(); }

  NativeHandle native_handle() noexcept override {
    // Whoever waits on the set itself makes no probe.
    is_shared_ = true;
    install_all();
    return set_;
  }

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
    write_probe_.clear();
    return {};
  }

 private:
  static bool wants_to_write(RawInterest interest) {
    return any(interest, RawInterest::out) && !any(interest, RawInterest::edge);
  }

  std::error_code change(int handle, RawInterest from, RawInterest to, Token token) noexcept {
    const int operation = from == RawInterest::none ? EPOLL_CTL_ADD
                          : to == RawInterest::none ? EPOLL_CTL_DEL
                                                    : EPOLL_CTL_MOD;
    return control(set_, operation, handle, to_native(to), token);
  }

  [[gnu::noinline]] std::error_code change_pending(WriteProbe::Entry& pending, RawInterest from,
                                                   RawInterest to, Token token) noexcept {
    const int handle = pending.handle;
    const std::uint32_t installed = pending.installed;
    if (from == RawInterest::none) {
      // Closed under its watch, and the number given out again.
      const auto error = change(handle, from, to, token);
      if (!error) write_probe_.remove(pending);
      return error;
    }
    if (from == to) return control(set_, EPOLL_CTL_MOD, handle, installed, token);
    if (wants_to_write(to)) {
      pending.wanted = to_native(to);
      return {};
    }
    write_probe_.remove(pending);
    if (to != RawInterest::none && to_native(to) == installed) return {};
    return change(handle, from, to, token);
  }

  [[gnu::noinline]] std::error_code probe_first(const WriteProbe::Entry& entry) try {
    write_probe_.add(entry);
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }

  /// The set gets what a probe has reported and is still asked for: no registration is probed
  /// twice, and no wait in the kernel is left out twice.
  [[gnu::noinline]] WaitResult probe_and_wait(std::span<RawEvent> out, Timeout timeout) {
    std::uint32_t reported = 0;
    if (reported_by_probe_) {
      install_all();
    } else {
      reported = probe(out);
    }
    WaitResult result;
    // A wait without a timeout is to report all that is ready just now.
    if (reported == 0 || (reported < out.size() && timeout.is_zero())) {
      // Not installed, for want of memory: poll() asks about them again.
      const bool some_are_left = reported == 0 && !write_probe_.empty();
      result = wait_in_kernel(out.subspan(reported), some_are_left ? Timeout::zero() : timeout);
      if (reported != 0) result.error = 0;  // comes again
    }
    result.count += reported;
    reported_by_probe_ = reported != 0;
    return result;
  }

  std::uint32_t probe(std::span<RawEvent> out) {
    ++system_calls_;
    const pollfd* const answers = write_probe_.poll();
    std::uint32_t reported = 0;
    for (std::size_t i = write_probe_.size(); i-- > 0;) {
      const short events = answers != nullptr ? answers[i].revents : short{0};
      // More than bytes and room is reported by the set, which knows files and not numbers.
      const bool is_plain = (events & ~(POLLIN | POLLOUT)) == 0;
      if (events != 0 && is_plain && reported < out.size()) {
        out[reported++] = {write_probe_[i].token, to_raw(static_cast<std::uint32_t>(events))};
      } else {
        install(write_probe_[i]);
      }
    }
    return reported;
  }

  void install_all() noexcept {
    for (std::size_t i = write_probe_.size(); i-- > 0;) install(write_probe_[i]);
  }
  /// What fails otherwise than for want of memory has gone with its descriptor.
  void install(WriteProbe::Entry& entry) noexcept {
    const auto error = control(set_, EPOLL_CTL_MOD, entry.handle, entry.wanted, entry.token);
    if (error != std::errc::not_enough_memory) write_probe_.remove(entry);
  }

  WaitResult wait_in_kernel(std::span<RawEvent> out, Timeout timeout) {
    const int room = static_cast<int>(std::min(out.size(), events_.size()));
    reported_by_probe_ = false;
    ++system_calls_;
    const int count = timeout.is_infinite() ? ::epoll_wait(set_, events_.data(), room, -1)
                                            : wait_for(timeout, room);
    if (count < 0) return failed();
    RawEvent* reported = out.data();
    const epoll_event* event = events_.data();
    for (int left = count; left > 0; --left, ++event) {
      const std::uint64_t data = event->data.u64;  // a copy: the struct is packed
      if (data != wake_data) *reported++ = {std::bit_cast<Token>(data), to_raw(event->events)};
    }
    return {.count = static_cast<std::uint32_t>(reported - out.data())};
  }

  [[gnu::noinline]] static WaitResult failed() {
    WaitResult result;
    if (errno != EINTR) result.error = errno;
    return result;
  }

  /// To the nanosecond since Linux 5.11 (epoll_wait(2)); before, and where a sandbox does not know
  /// the call, to the millisecond.
  [[gnu::noinline]] int wait_for(Timeout timeout, int room) {
#if defined(SYS_epoll_pwait2)
    if (precise_ && !timeout.is_zero()) {
      const auto spec = to_timespec<__kernel_timespec>(timeout.duration());
      const long count =
          ::syscall(SYS_epoll_pwait2, set_, events_.data(), room, &spec, nullptr, std::size_t{0});
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
      precise_ = false;
    }
#endif
    return ::epoll_wait(set_, events_.data(), room, timeout.poll_ms());
  }

  std::error_code control(int set, int operation, int handle, std::uint32_t events,
                          Token token) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u64 = std::bit_cast<std::uint64_t>(token);
    ++system_calls_;
    return {::epoll_ctl(set, operation, handle, &event) == 0 ? 0 : errno, category_};
  }

  const std::error_category& category_ = std::system_category();  ///< a call to ask for
  WakeHandle wake_;
  int set_ = -1;
  WriteProbe write_probe_;
  bool reported_by_probe_ = false;  ///< what the last wait reported, or some of it
  bool is_shared_ = false;          ///< another loop may be waiting on the set
  bool precise_ = true;
  alignas(8) std::array<epoll_event, 512> events_;
};

}  // namespace

std::unique_ptr<Backend> make_epoll_backend(std::error_code& error) {
  return make_reporting<EpollBackend>(error);
}

}  // namespace pollux
