// SPDX-License-Identifier: MIT
// Plain poll(2), as every POSIX system has it. No POLLRDHUP, on Linux either: what the lifecycle
// needs beyond in and out, it finds by probes.
#include "poll_backend.hpp"

#include <cerrno>
#include <new>
#include <vector>

#include <poll.h>

#include <pollux/backend_support.hpp>

namespace pollux {

namespace {

short to_native(RawInterest interest) {
  short events = 0;  // POLLHUP and POLLERR are always reported on Linux (poll(2))
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  return events;
}

RawReady to_raw(short events) {
  RawReady ready = RawReady::none;
  if ((events & POLLIN) != 0) ready |= RawReady::in;
  if ((events & POLLOUT) != 0) ready |= RawReady::out;
  if ((events & POLLHUP) != 0) ready |= RawReady::hup;
  if ((events & POLLERR) != 0) ready |= RawReady::err;
  return ready;
}

class PollBackend final : public Backend {
 public:
  PollBackend(const PollSystem& system, std::error_code& error) : system_{system}, wake_{error} {
    forget_all();
  }

  std::string_view name() const noexcept override { return "poll"; }
  RawReady reports() const noexcept override {
    const RawReady bits = RawReady::in | RawReady::out;
    return system_.hears_failures ? bits | RawReady::err : bits;
  }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::edge)) return refusal(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    const std::size_t position = find(handle);
    if (position == 0 || entries_[position].token != token)
      return refusal(std::errc::no_such_file_or_directory);
    if (from == to) {  // asks whether the number still is the file that it was
      std::error_code error;
      if (identify(handle, error, system_calls_) == entries_[position].identity && !error)
        return {};
      remove(position);
      return refusal(std::errc::no_such_file_or_directory);
    }
    if (to == RawInterest::none) {
      remove(position);
    } else {
      polled_[position].events = to_native(to);
    }
    return {};
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    ++system_calls_;
    int left = system_.poll(polled_.data(), static_cast<nfds_t>(polled_.size()), timeout);
    if (left < 0) {
      if (errno != EINTR) result.error = errno;
      return result;
    }
    if (left > 0 && polled_[0].revents != 0) {
      ++system_calls_;
      wake_.drain();
      result.woken = true;
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
        out[result.count++] = {entries_[position].token, to_raw(events)};
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
    const auto error = wake_.renew_after_fork();  // a child's wake must not be its parent's
    if (!error) forget_all();
    return error;
  }

 private:
  struct Entry {
    Token token;
    HandleIdentity identity;
  };

  void forget_all() {
    polled_.assign(1, {wake_.handle(), POLLIN, 0});
    entries_.assign(1, {});
    position_.clear();
    next_ = 1;
  }

  /// Where `handle` is in the arrays; 0 if nowhere, since the wake handle is there.
  std::size_t find(NativeHandle handle) const {
    const auto index = static_cast<std::size_t>(handle);
    return handle >= 0 && index < position_.size() ? position_[index] : 0;
  }

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    // poll() takes whatever it is given, and says so with each call: refuse what epoll would.
    std::error_code error;
    const HandleIdentity identity = identify(handle, error, system_calls_);
    if (error) return error;
    if (const std::size_t position = find(handle); position != 0) {
      if (entries_[position].identity == identity) return refusal(std::errc::file_exists);
      remove(position);  // closed under its watch, and the number given out again
    }
    const auto index = static_cast<std::size_t>(handle);
    try {
      if (index >= position_.size()) position_.resize(index + index / 2 + 16, 0);
      entries_.push_back({token, identity});
      polled_.push_back({handle, to_native(interest), 0});
    } catch (const std::bad_alloc&) {
      entries_.resize(polled_.size());
      return refusal(std::errc::not_enough_memory);
    }
    position_[index] = polled_.size() - 1;
    return {};
  }

  /// Fills the gap with the last entry: the arrays stay dense.
  void remove(std::size_t position) {
    position_[static_cast<std::size_t>(polled_[position].fd)] = 0;
    if (position != polled_.size() - 1) {
      polled_[position] = polled_.back();
      entries_[position] = entries_.back();
      position_[static_cast<std::size_t>(polled_[position].fd)] = position;
    }
    polled_.pop_back();
    entries_.pop_back();
  }

  PollSystem system_;
  WakeHandle wake_;
  std::vector<pollfd> polled_;         ///< what poll() is given, in place; the wake handle first
  std::vector<Entry> entries_;         ///< beside it
  std::vector<std::size_t> position_;  ///< by handle
  std::size_t next_ = 1;
};

}  // namespace

int poll_natively(pollfd* polled, nfds_t count, Timeout timeout) noexcept {
#if defined(__linux__) || defined(__FreeBSD__)
  if (!timeout.is_infinite() && !timeout.is_zero()) {
    const auto spec = to_timespec<timespec>(timeout.duration());
    return ::ppoll(polled, count, &spec, nullptr);
  }
#endif
  return ::poll(polled, count, timeout.poll_ms());
}

std::unique_ptr<Backend> make_poll_backend(const PollSystem& system, std::error_code& error) {
  auto backend = std::make_unique<PollBackend>(system, error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}

std::unique_ptr<Backend> make_poll_backend(std::error_code& error) {
  return make_poll_backend(PollSystem{}, error);
}

}  // namespace pollux
