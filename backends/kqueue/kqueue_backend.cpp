// SPDX-License-Identifier: MIT
// kqueue(2) of macOS and the BSDs: two filters a registration, level-triggered. Where a connection
// stands beyond "readable" and "writable" is found by probes: README.md says why.
#include "kqueue_backend.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pollux/backend_support.hpp>

#include "filters.hpp"
#include "kevents.hpp"

namespace pollux {

namespace {

using namespace detail::kqueue;

/// A kernel takes it, and adds it to a clock, without running over.
constexpr std::chrono::hours longest_wait{24};

std::error_code last_error() {
  return {errno, std::system_category()};
}

class KqueueBackend final : public Backend {
 public:
  explicit KqueueBackend(std::error_code& error) : wake_{system_calls_, error} {
    if (!error) error = reset();
  }
  ~KqueueBackend() override { close_queue(); }

  std::string_view name() const noexcept override { return "kqueue"; }
  RawReady reports() const noexcept override { return RawReady::in | RawReady::out; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::pri)) return system_error_code(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    Registration* const registered = find(handle);
    if (registered == nullptr || registered->token != token)
      return system_error_code(std::errc::no_such_file_or_directory);
    const Modes before = modes_of(from, registered->is_pipe);
    const int error = from == to ? filters_.ask(handle, *registered, before)
                                 : filters_.change(handle, *registered, before,
                                                   modes_of(to, registered->is_pipe));
    if (error != 0) {
      if (error == ENOENT || error == EBADF) filters_.forget(handle, *registered);
      return {error, std::system_category()};
    }
    registered->interest = to;
    return {};
  }

  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    // A filter that can be removed says by itself that the number still is the file.
    return set_interest(handle, from, RawInterest::none, token);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    const auto spec =
        to_timespec<timespec>(std::min<std::chrono::nanoseconds>(timeout.duration(), longest_wait));
    const int room = static_cast<int>(std::min(out.size(), events_.size()));
    ++system_calls_;
    const int count = ::kevent(queue_, nullptr, 0, events_.data(), room, &spec);
    if (count < 0) {
      if (errno != EINTR) result.error = errno;
      return result;
    }
    for (int i = 0; i < count; ++i) {
      const Event& event = events_[static_cast<std::size_t>(i)];
      const auto handle = static_cast<NativeHandle>(event.ident);
      const Registration* const registered = find(handle);
      const bool is_known = registered != nullptr && registered->token.slot != no_slot;
      if (handle == wake_.handle() && (!is_known || registered->interest == RawInterest::none)) {
        ++system_calls_;
        wake_.drain();
        continue;
      }
      if (!is_known) continue;
      // With the generation that the kernel has kept: a filter that has outlived its registration
      // does not pass for the next one's, and the core finds it.
      const Token token{registered->token.slot, to_generation(event.udata)};
      const RawReady ready = ready_of(event, registered->interest, [&] {
        return registered->is_pipe || is_hung_up(handle, event);
      });
      if (ready != RawReady::none) out[result.count++] = {token, ready, error_of(event)};
    }
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  NativeHandle native_handle() noexcept override { return queue_; }

  std::error_code reset() override {
    if (const auto error = wake_.renew_after_fork()) return error;  // not the parent's
    ++system_calls_;
    const int queue = ::kqueue();
    if (queue < 0) return last_error();
    system_calls_ += 2;
    ::fcntl(queue, F_SETFD, FD_CLOEXEC);
    Event wake = make_change(wake_.handle(), EVFILT_READ, EV_ADD, Mode::level, 0);
    if (::kevent(queue, &wake, 1, &wake, 1, nullptr) < 0 || wake.data != 0) {
      const std::error_code error =
          wake.data != 0 ? std::error_code{static_cast<int>(wake.data), std::system_category()}
                         : last_error();
      ::close(queue);
      return error;
    }
    close_queue();
    queue_ = queue;
    filters_.use(queue);
    made_in_ = fork_count();
    by_handle_.clear();
    return {};
  }

 private:
  /// The child of a fork has no kqueue: the number is free there, or another's.
  void close_queue() noexcept {
    if (queue_ >= 0 && made_in_ == fork_count()) ::close(queue_);
    queue_ = -1;
  }

  /// Whether the direction of a socket is over that `event` says nothing of, as the other is. Asked
  /// for that one, every system's poll() says HUP then: macOS' for it alone, the others' for both.
  bool is_hung_up(NativeHandle handle, const Event& event) noexcept {
    return any(poll_once(handle, other_direction(event), system_calls_), RawReady::hup);
  }

  Registration* find(NativeHandle handle) {
    const auto index = static_cast<std::size_t>(handle);
    return index < by_handle_.size() ? &by_handle_[index] : nullptr;
  }

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    // A kqueue takes regular files and directories, and reports where one reads them.
    std::error_code error;
    identify(handle, error, system_calls_);
    if (error) return error;
    const auto index = static_cast<std::size_t>(handle);
    if (index >= by_handle_.size()) by_handle_.resize(index + index / 2 + 16);
    Registration& registered = by_handle_[index];
    if (registered.interest != RawInterest::none) {
      // EV_ADD would change what is there. It goes when its descriptor is closed, says kqueue(2);
      // the number may be another file's by now.
      const Modes modes = modes_of(registered.interest, registered.is_pipe);
      if (filters_.ask(handle, registered, modes) == 0)
        return system_error_code(std::errc::file_exists);
    }
    struct stat status {};
    ++system_calls_;
    Registration fresh{token, interest};
    fresh.is_pipe = ::fstat(handle, &status) == 0 && S_ISFIFO(status.st_mode);
    const int refused = filters_.change(handle, fresh, {}, modes_of(interest, fresh.is_pipe));
    if (refused == 0) {
      registered = fresh;
      return {};
    }
    return Filters::is_no_filter(refused) ? system_error_code(std::errc::operation_not_permitted)
                                          : std::error_code{refused, std::system_category()};
  }

  WakeHandle wake_;
  Filters filters_{system_calls_};
  int queue_ = -1;
  unsigned made_in_ = 0;                 ///< the fork_count() of the process that made it
  std::vector<Registration> by_handle_;  ///< what each number was registered for last
  std::array<Event, 256> events_;
};

}  // namespace

std::unique_ptr<Backend> make_kqueue_backend(std::error_code& error) {
  return make_reporting<KqueueBackend>(error);
}

}  // namespace pollux
