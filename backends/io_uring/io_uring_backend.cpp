// SPDX-License-Identifier: MIT
// Linux io_uring: one poll request for each registration, handed over with the wait. What completes
// is a hint where it is older than the wait, and the truth where it was asked in it. What a ring
// must not hold, or cannot, is in a set of epoll's that it waits on (README.md).
#include "io_uring_backend.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include <poll.h>

#include <pollux/backend_support.hpp>

#include "registrations.hpp"
#include "requests.hpp"

namespace pollux {

namespace {

using namespace detail::io_uring;

class IoUringBackend final : public Backend {
 public:
  explicit IoUringBackend(std::error_code& error) : wake_{system_calls_, error} {
    if (error) return;
    if (const int refused = requests_.renew()) error = {refused, std::system_category()};
  }

  std::string_view name() const noexcept override { return "io_uring"; }
  RawReady reports() const noexcept override { return all_bits; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (from == RawInterest::none) return add(handle, to, token);
    Registration* known = known_.find(handle, token);
    if (known == nullptr) return system_error_code(std::errc::no_such_file_or_directory);
    if (to == RawInterest::none) return remove(token.slot);
    if (from == to) {  // asks whether the number still is the file that it was
      if (known_.is_same(token.slot)) return {};
      remove(token.slot);
      return system_error_code(std::errc::no_such_file_or_directory);
    }
    if (const int refused = requests_.prepare_for(to)) return {refused, std::system_category()};
    known->interest = to;
    known_.list(token.slot);
    return {};
  }

  std::error_code remove_closing(NativeHandle handle, RawInterest, Token token) override {
    if (known_.find(handle, token) == nullptr)
      return system_error_code(std::errc::no_such_file_or_directory);
    const bool is_ours = known_.is_same(token.slot);
    remove(token.slot);
    return is_ours ? std::error_code{} : system_error_code(std::errc::no_such_file_or_directory);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    result.error = requests_.renew_if_gone();
    if (result.error != 0) return result;
    out = out.first(std::min(out.size(), polled_.size()));
    requests_.take_all();
    if (busy_ || timeout.is_zero() || !known_.hints().empty() || requests_.has_work()) {
      pass(out, result, Timeout::zero());
      busy_ = result.count != 0;
    }
    if (!timeout.is_zero() && is_idle(result)) pass(out, result, timeout);
    // What came before the error is reported; if that lasts, the next wait finds it.
    if (result.count != 0) result.error = 0;
    if (result.error == 0) requests_.forget_wake();
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    // A child's wake must not be its parent's.
    if (const auto error = wake_.renew_after_fork()) return error;
    if (const int error = requests_.renew()) return {error, std::system_category()};
    requests_.forget_all();
    return {};
  }

 private:
  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    // Closed under its watch, and the slot given to another: nobody has said so.
    if (known_.is_slot(token.slot) && known_[token.slot].handle != no_handle &&
        known_[token.slot].handle != handle)
      remove(token.slot);
    if (const int refused = requests_.prepare_for(interest))
      return {refused, std::system_category()};
    // The kernel takes whatever it is given, and says so later: this refuses what epoll would.
    return known_.put(handle, interest, token, [this](std::uint32_t old) { remove(old); });
  }

  /// What was asked holds the file open: it must end now, or a close that follows would not be one.
  /// What was reported last has asked for nothing.
  std::error_code remove(std::uint32_t slot) {
    requests_.end(slot);
    known_.forget(slot);
    return {};
  }

  bool is_idle(const WaitResult& result) const {
    return result.count == 0 && result.error == 0 && !requests_.was_woken() &&
           !requests_.set_is_due() && known_.hints().empty();
  }

  /// Asks about what is listed, waits if there is time, and reports what there is room for.
  void pass(std::span<RawEvent> out, WaitResult& result, Timeout timeout) {
    ask(!timeout.is_zero());
    const bool waits = !timeout.is_zero() && !requests_.is_in_trouble();
    // What completes at once for nothing must not end the wait: it is handed over before.
    if (requests_.take_quiet() || !waits) gather(out, result, Timeout::zero());
    if (waits && is_idle(result)) gather(out, result, timeout);
    if (requests_.set_is_due() && result.error == 0)
      result.count +=
          static_cast<std::uint32_t>(requests_.take_from_set(out.subspan(result.count)));
    if (!known_.hints().empty() && result.error == 0) look(out, result);
    if (result.error == 0) result.error = requests_.take_trouble();
  }

  void ask(bool waits) {
    requests_.begin_pass();
    known_.ask_for_listed([&](std::uint32_t slot, Registration& listed) {
      if (waits || !may_be_looked_at(listed)) return requests_.ask_for(slot, listed);
      known_.hint(slot);
      return Asked::done;
    });
    requests_.ask_for_own(wake_.handle());
  }

  /// Hands over what was asked for, waits if there is time, and takes what there is room for,
  /// beside the hints that are to be looked at in this pass: all but the first `put_off`.
  void gather(std::span<RawEvent> out, WaitResult& result, Timeout timeout,
              std::size_t put_off = 0) {
    result.error = requests_.enter(timeout);
    if (result.error != 0) return;
    while (known_.hints().size() - put_off + result.count < out.size()) {
      const auto completion = requests_.next();
      if (!completion) break;
      const RawEvent event = requests_.take(*completion);
      if (event.ready != RawReady::none) out[result.count++] = event;
    }
  }

  /// A poll() for several is cheaper than a request for each, unless it is in vain again and again.
  static bool may_be_looked_at(const Registration& listed) {
    return !listed.armed && !listed.for_set && listed.misses < 2 &&
           !any(listed.interest, RawInterest::edge) && listed.handle != no_handle;
  }

  /// Asks what is true of those that there are hints for, as far as there is room.
  void look(std::span<RawEvent> out, WaitResult& result) {
    const auto& hints = known_.hints();
    const std::size_t count = std::min(hints.size(), out.size() - result.count);
    for (std::size_t i = 0; i < count; ++i) {
      const Registration& hinted = known_[hints[i]];
      // A handle that is none is passed over.
      polled_[i] = {hinted.handle, static_cast<short>(to_native(hinted.interest) | POLLRDHUP), 0};
    }
    ++system_calls_;
    if (::poll(polled_.data(), count, 0) < 0) {
      if (errno != EINTR) ask_instead(out, result, count);
      return;
    }
    std::size_t seen = 0;
    while (seen < count && judge(hints[seen], polled_[seen].revents, out, result)) ++seen;
    known_.drop_hints(seen);
  }

  /// poll() takes no more descriptors than the process may open (EINVAL), and that may have been
  /// lowered since: requests tell it too.
  void ask_instead(std::span<RawEvent> out, WaitResult& result, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) known_.list(known_.hints()[i]);
    known_.drop_hints(count);
    ask(true);
    requests_.take_quiet();
    const std::size_t put_off = known_.hints().size();
    // The kernel works on 20 at a time. What it has not come to would be no more than a hint.
    for (int i = 0; i < 64 && result.error == 0 && requests_.has_work(); ++i)
      gather(out, result, Timeout::zero(), put_off);
  }

  /// What a look has found of one. False if nothing could be done about it yet.
  bool judge(std::uint32_t slot, int events, std::span<RawEvent> out, WaitResult& result) {
    Registration& hinted = known_[slot];
    if (hinted.handle == no_handle) return true;
    if ((events & POLLNVAL) != 0 || has_changed_hands(slot, hinted, events)) {
      // Closed under its watch: forgotten, as epoll's set does by itself.
      if (hinted.armed && !requests_.cancel(slot)) return false;
      known_.forget(slot);
      return true;
    }
    hinted.woke = 0;
    hinted.fin = (events & POLLRDHUP) != 0;
    if (const RawReady ready = to_raw(hinted, events); ready != RawReady::none) {
      out[result.count++] = {{slot, hinted.generation}, ready};
      requests_.reported(slot);
    } else if (!hinted.armed) {
      if (hinted.misses < 2) ++hinted.misses;
      known_.list(slot);
    }
    return true;
  }

  /// A request holds the file that it was asked for, and a look goes by the number. Where the one
  /// has not seen what has woken the other, the number may have been closed and given out again.
  bool has_changed_hands(std::uint32_t slot, const Registration& hinted, int events) {
    constexpr int for_ever = POLLHUP | POLLRDHUP;
    const int woke = hinted.woke;
    if (woke == 0 || ((woke & events) != 0 && (woke & ~events & for_ever) == 0)) return false;
    return !known_.is_same(slot);
  }

  WakeHandle wake_;
  Registrations known_{system_calls_};
  Requests requests_{known_, system_calls_};
  std::array<pollfd, 512> polled_;
  bool busy_ = false;  ///< of late there was something to report without a wait
};

}  // namespace

std::unique_ptr<Backend> make_io_uring_backend(std::error_code& error) {
  return make_reporting<IoUringBackend>(error);
}

}  // namespace pollux
