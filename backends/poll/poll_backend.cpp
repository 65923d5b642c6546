// SPDX-License-Identifier: MIT
// Plain poll(2), as every POSIX system has it. No POLLRDHUP, on Linux either: what the lifecycle
// needs beyond in and out, it finds by probes.
#include "poll_backend.hpp"

#include <cerrno>
#include <new>
#include <vector>

#include <poll.h>

#include <pollux/backend_support.hpp>

#include "unlimited_poll.hpp"

namespace pollux {

namespace {

using namespace detail::poll;

short to_native(RawInterest interest) {
  short events = 0;  // POLLHUP and POLLERR are always reported on Linux (poll(2))
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  if (any(interest, RawInterest::pri)) events |= POLLPRI;
  return events;
}

RawReady to_raw(short events) {
  RawReady ready = RawReady::none;
  if ((events & POLLIN) != 0) ready |= RawReady::in;
  if ((events & POLLPRI) != 0) ready |= RawReady::pri;
  if ((events & POLLOUT) != 0) ready |= RawReady::out;
  if ((events & POLLHUP) != 0) ready |= RawReady::hup;
  if ((events & POLLERR) != 0) ready |= RawReady::err;
  return ready;
}

class PollBackend final : public Backend {
 public:
  PollBackend(const PollSystem& system, std::error_code& error)
      : system_{system}, wake_{system_calls_, error} {
    if (!error) error = set_.renew();
    forget_all();
  }

  std::string_view name() const noexcept override { return "poll"; }
  RawReady reports() const noexcept override {
    const RawReady bits = RawReady::in | RawReady::out;
    return system_.reports_failures ? bits | RawReady::err : bits;
  }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::edge)) return system_error_code(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    const std::uint32_t position = find(handle, token);
    if (position == HandleMap::none) return system_error_code(std::errc::no_such_file_or_directory);
    if (from == to) {  // asks whether the number still is the file that it was
      if (files_.is_same(token.slot, handle)) return {};
      remove(position);
      return system_error_code(std::errc::no_such_file_or_directory);
    }
    if (to == RawInterest::none) {
      remove(position);
    } else {
      polled_[position].events = to_native(to);
    }
    return {};
  }

  std::error_code remove_closing(NativeHandle handle, RawInterest, Token token) override {
    const std::uint32_t position = find(handle, token);
    if (position == HandleMap::none) return system_error_code(std::errc::no_such_file_or_directory);
    const bool is_ours = files_.is_same(token.slot, handle);
    remove(position);
    return is_ours ? std::error_code{} : system_error_code(std::errc::no_such_file_or_directory);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    int left = poll(timeout);
    if (left < 0) {
      if (errno != EINTR) result.error = errno;
      return result;
    }
    if ((polled_[0].revents & POLLNVAL) != 0) {
      result.error = EBADF;  // somebody has closed it: nobody could wake the loop any more
      return result;
    }
    if (left > 0 && polled_[0].revents != 0) {
      ++system_calls_;
      wake_.drain();
      --left;
    }
    // From where the last wait left off, so that a full `out` starves nobody.
    std::size_t position = next_;
    for (std::size_t seen = 1; seen < polled_.size() && left > 0 && result.count < out.size();) {
      if (position >= polled_.size()) position = 1;
      const short events = polled_[position].revents;
      if ((events & POLLNVAL) != 0) {
        // Closed under its watch: forgotten, as epoll's set does by itself. Another takes its
        // place.
        remove(position);
        --left;
        continue;
      }
      if (events != 0) {
        out[result.count++] = {tokens_[position], to_raw(events)};
        --left;
      }
      ++position;
      ++seen;
    }
    next_ = position;
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    if (const auto error = wake_.renew_after_fork()) return error;  // not the parent's
    if (const auto error = set_.renew()) return error;
    forget_all();
    return {};
  }

 private:
  void forget_all() {
    polled_.assign(1, {wake_.handle(), POLLIN, 0});
    tokens_.assign(1, {});
    positions_.clear();
    files_.reset();
    next_ = 1;
  }

  int poll(Timeout timeout) {
    if (polled_.size() < refused_at_) {
      ++system_calls_;
      const int ready = system_.poll(polled_.data(), static_cast<nfds_t>(polled_.size()), timeout);
      if (ready >= 0 || errno != EINVAL || !set_) return ready;
      refused_at_ = polled_.size();  // more than RLIMIT_NOFILE, which somebody has lowered
    }
    return set_.poll(polled_, timeout);
  }

  /// Where the registration that `token` names is in the arrays, or HandleMap::none.
  std::uint32_t find(NativeHandle handle, Token token) const {
    const std::uint32_t position = positions_.find(handle);
    return position != HandleMap::none && tokens_[position] == token ? position : HandleMap::none;
  }

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    const std::uint32_t old = positions_.find(handle);
    const std::uint32_t registered = old != HandleMap::none ? tokens_[old].slot : HandleMap::none;
    // poll() takes whatever it is given, and says so with each call: refuse what epoll would.
    const auto drop = [&] { remove(old); };
    if (const auto error = files_.add_once(token.slot, handle, registered, drop)) return error;
    try {
      positions_.make_room(handle);
      tokens_.push_back(token);
      polled_.push_back({handle, to_native(interest), 0});
    } catch (const std::bad_alloc&) {
      tokens_.resize(polled_.size());
      files_.remove(token.slot, handle);
      return system_error_code(std::errc::not_enough_memory);
    }
    positions_.put(handle, static_cast<std::uint32_t>(polled_.size() - 1));
    set_.forget(handle);
    return {};
  }

  /// Fills the gap with the last entry: the arrays stay dense.
  void remove(std::size_t position) {
    const NativeHandle handle = polled_[position].fd;
    files_.remove(tokens_[position].slot, handle);
    set_.forget(handle);
    positions_.remove(handle);
    if (position != polled_.size() - 1) {
      polled_[position] = polled_.back();
      tokens_[position] = tokens_.back();
      positions_.put(polled_[position].fd, static_cast<std::uint32_t>(position));
    }
    polled_.pop_back();
    tokens_.pop_back();
  }

  PollSystem system_;
  WakeHandle wake_;
  HandleRegistry files_{system_calls_};
  std::vector<pollfd> polled_;  ///< what poll() is given, in place; the wake handle first
  std::vector<Token> tokens_;   ///< beside it
  HandleMap positions_;         ///< in both
  std::size_t next_ = 1;
  UnlimitedPoll set_{system_calls_};  ///< for when poll() refuses so many
  std::size_t refused_at_ = static_cast<std::size_t>(-1);
};

}  // namespace

namespace detail::poll {

#if defined(__linux__) && !defined(POLLUX_PORTABLE_SYSTEM)
const bool reports_failures_natively = true;
#else
// macOS registers nothing, FreeBSD does not wake (docs/kernel-facts.md).
const bool reports_failures_natively = false;
#endif

int poll_natively(pollfd* polled, nfds_t count, Timeout timeout) noexcept {
#if (defined(__linux__) || defined(__FreeBSD__)) && !defined(POLLUX_PORTABLE_SYSTEM)
  if (!timeout.is_infinite() && !timeout.is_zero()) {
    const auto spec = to_timespec<timespec>(timeout.duration());
    return ::ppoll(polled, count, &spec, nullptr);
  }
#endif
  return ::poll(polled, count, timeout.poll_ms());
}

}  // namespace detail::poll

std::unique_ptr<Backend> make_poll_backend(const PollSystem& system, std::error_code& error) {
  return make_reporting<PollBackend>(error, system);
}

std::unique_ptr<Backend> make_poll_backend(std::error_code& error) {
  return make_poll_backend(PollSystem{}, error);
}

}  // namespace pollux
