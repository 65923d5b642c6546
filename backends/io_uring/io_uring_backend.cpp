// SPDX-License-Identifier: MIT
// Linux io_uring: one poll request for each registration, handed over with the wait. What completes
// is a hint where it is older than the wait, and the truth where it was asked in it (README.md).
#include "io_uring_backend.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <poll.h>

#include <pollux/backend_support.hpp>

#include "registrations.hpp"
#include "ring.hpp"

namespace pollux {

namespace {

constexpr Request wake_request{Registrations::no_slot, 1};

short to_native(RawInterest interest) {
  int events = 0;  // POLLHUP and POLLERR are always reported
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  if (any(interest, RawInterest::rdhup)) events |= POLLRDHUP;
  return static_cast<short>(events);
}

static_assert(RawReady{POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR} ==
              (RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err));

/// Of what a registration wants to hear, and so nothing but these five.
RawReady to_raw(int events) {
  return static_cast<RawReady>(events);
}

class IoUringBackend final : public Backend {
 public:
  explicit IoUringBackend(std::error_code& error) : wake_{error} {
    if (error) return;
    if (const int refused = renew()) error = {refused, std::system_category()};
  }

  std::string_view name() const noexcept override { return "io_uring"; }
  RawReady reports() const noexcept override {
    return RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;
  }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (from == RawInterest::none) return add(handle, to, token);
    Registration* known = known_.find(handle, token);
    if (known == nullptr) return refusal(std::errc::no_such_file_or_directory);
    if (to == RawInterest::none) return remove(token.slot);
    if (from == to) {  // asks whether the number still is the file that it was
      std::error_code error;
      if (identify(handle, error, system_calls_) == known->identity && !error) return {};
      error = remove(token.slot);
      return error ? error : refusal(std::errc::no_such_file_or_directory);
    }
    known->interest = to;
    known_.list(token.slot);
    return {};
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    out = out.first(std::min(out.size(), polled_.size()));
    ++pass_;
    while (const auto old = ring_->next()) take(*old);
    if (busy_ || timeout.is_zero() || !known_.hints().empty() || ring_->has_work()) {
      pass(out, result, Timeout::zero());
      busy_ = result.count != 0;
    }
    if (result.error == 0 && result.count == 0 && !woken_ && !timeout.is_zero())
      pass(out, result, timeout);
    if (result.error == 0) result.woken = std::exchange(woken_, false);
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    // A child's wake must not be its parent's.
    if (const auto error = wake_.renew_after_fork()) return error;
    if (const int error = renew()) return {error, std::system_category()};
    known_.clear();
    return {};
  }

 private:
  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    // The kernel takes whatever it is given, and says so later: refuse at once what epoll would.
    std::error_code error;
    const HandleIdentity identity = identify(handle, error, system_calls_);
    if (error) return error;
    if (const std::uint32_t other = known_.slot_of(handle); other != Registrations::no_slot) {
      if (known_[other].identity == identity) return refusal(std::errc::file_exists);
      error = remove(other);  // closed under its watch, and the number given out again
    }
    if (known_.is_slot(token.slot) && known_[token.slot].handle != no_handle)
      error = remove(token.slot);  // likewise, and nobody has said so
    if (error) return error;
    if (!known_.make_room(handle, token.slot)) return refusal(std::errc::not_enough_memory);
    known_.put(handle, identity, interest, token);
    return {};
  }

  /// The kernel's request holds the file open: it must end now, or a close that follows would not
  /// be one. What was reported last has none.
  std::error_code remove(std::uint32_t slot) {
    const bool armed = known_[slot].armed;
    if (armed && !cancel(slot)) return refusal(std::errc::resource_unavailable_try_again);
    known_.forget(slot);
    if (armed && ring_->flush() == EEXIST) static_cast<void>(renew());
    return {};
  }

  /// Asks about what is listed, waits if there is time, and reports what there is room for.
  void pass(std::span<RawEvent> out, WaitResult& result, Timeout timeout) {
    ++pass_;
    if (!wake_armed_) wake_armed_ = ring_->poll(wake_request, wake_.handle(), POLLIN, true);
    known_.ask_for_listed([&](std::uint32_t slot) {
      if (!timeout.is_zero() || !may_be_looked_at(known_[slot])) return ask_for(slot);
      known_.hint(slot);
      return true;
    });
    // What completes at once for nothing must not end the wait: it is handed over before.
    const bool waits = !timeout.is_zero();
    if (std::exchange(quiet_, false) || !waits) gather(out, result, Timeout::zero());
    if (waits && result.error == 0 && result.count == 0 && known_.hints().empty() && !woken_)
      gather(out, result, timeout);
    if (result.error == 0 && !known_.hints().empty()) look(out, result);
  }

  /// Hands over what was asked for, waits if there is time, and takes what there is room for.
  void gather(std::span<RawEvent> out, WaitResult& result, Timeout timeout) {
    if (!timeout.is_zero() || ring_->has_work()) {
      result.error = ring_->enter(timeout.is_zero() ? 0 : 1, timeout);
      if (result.error == EEXIST) result.error = renew();  // the loop has moved to another thread
      if (result.error != 0) return;
    }
    while (known_.hints().size() + result.count < out.size()) {
      const auto completion = ring_->next();
      if (!completion) break;
      const RawEvent event = take(*completion);
      if (event.ready != RawReady::none) out[result.count++] = event;
    }
  }

  /// A poll() for several is cheaper than a request for each, unless it is in vain again and again.
  static bool may_be_looked_at(const Registration& listed) {
    return !listed.armed && listed.misses < 2 && !any(listed.interest, RawInterest::edge) &&
           listed.handle != no_handle;
  }

  /// False if there was no room for a request.
  bool ask_for(std::uint32_t slot) {
    Registration& listed = known_[slot];
    if (listed.handle == no_handle) return true;
    const bool quiet = listed.fin && !any(listed.interest, RawInterest::rdhup);
    const bool multi = quiet || any(listed.interest, RawInterest::edge);
    const short events = to_native(listed.interest);
    if (listed.armed && !listed.multi && !multi)
      return ring_->change({slot, listed.number}, events);
    if (listed.armed && !cancel(slot)) return false;
    if (!ring_->poll({slot, last_number_ + 1}, listed.handle, events, multi)) return false;
    listed.number = ++last_number_;
    listed.asked = pass_;
    listed.armed = true;
    listed.multi = multi;
    quiet_ |= quiet;
    return true;
  }

  /// False if there was no room for a request.
  bool cancel(std::uint32_t slot) {
    Registration& ended = known_[slot];
    if (ring_->cancel({slot, ended.number})) ended.armed = false;
    return !ended.armed;
  }

  /// What there is to report, if it can be told from the completion alone.
  RawEvent take(const Completion& completion) {
    const auto [request, result, more] = completion;
    if (request == wake_request) {
      woken_ |= result >= 0;
      wake_armed_ = more;
    }
    if (!known_.is_slot(request.slot)) return {};
    Registration& told = known_[request.slot];
    if (!told.armed || told.number != request.number) return {};
    told.armed = more;
    if (result == -EBADF || result == -EINVAL) {  // closed under its watch; not for this kernel
      known_.forget(request.slot);
      return {};
    }
    const int wanted = to_native(told.interest) | POLLHUP | POLLERR;
    told.fin |= result > 0 && (result & POLLRDHUP) != 0;
    if (told.asked != pass_) {
      known_.hint(request.slot);
      return {};
    }
    const RawReady ready = result > 0 ? to_raw(result & wanted) : RawReady::none;
    if (ready != RawReady::none) {
      reported(request.slot);
    } else if (!told.armed) {
      known_.list(request.slot);
    }
    return {{request.slot, told.generation}, ready};
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
      if (errno != EINTR && result.count == 0) result.error = errno;
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t slot = hints[i];
      Registration& hinted = known_[slot];
      const int wanted = to_native(hinted.interest) | POLLHUP | POLLERR;
      const int events = polled_[i].revents;
      hinted.fin = (events & POLLRDHUP) != 0;
      if ((events & POLLNVAL) != 0) {
        // Closed under its watch: forgotten, as epoll's set does by itself.
        if (hinted.armed) cancel(slot);
        known_.forget(slot);
      } else if (const RawReady ready = to_raw(events & wanted); ready != RawReady::none) {
        out[result.count++] = {{slot, hinted.generation}, ready};
        reported(slot);
      } else if (hinted.handle != no_handle && !hinted.armed) {
        if (hinted.misses < 2) ++hinted.misses;
        known_.list(slot);
      }
    }
    known_.drop_hints(count);
  }

  /// A condition is reported for as long as it holds: the next wait asks anew. An edge is not.
  void reported(std::uint32_t slot) {
    Registration& told = known_[slot];
    told.misses = 0;
    if (!told.armed || !any(told.interest, RawInterest::edge)) known_.list(slot);
  }

  /// A new ring, which knows nothing yet; what was asked for is asked anew.
  int renew() {
    std::error_code error;
    std::unique_ptr<Ring> fresh{new (std::nothrow) Ring{system_calls_, error}};
    if (!fresh) return ENOMEM;
    if (error) return error.value();
    ring_ = std::move(fresh);
    wake_armed_ = false;
    known_.disarm_all();
    return 0;
  }

  WakeHandle wake_;
  std::unique_ptr<Ring> ring_;
  Registrations known_;
  std::array<pollfd, 512> polled_;
  std::uint32_t pass_ = 0;
  std::uint32_t last_number_ = 0;
  bool wake_armed_ = false;
  bool woken_ = false;
  bool quiet_ = false;  ///< something that shows RDHUP unasked was asked for in this pass
  bool busy_ = false;   ///< of late there was something to report without a wait
};

}  // namespace

std::unique_ptr<Backend> make_io_uring_backend(std::error_code& error) {
  return make_reporting<IoUringBackend>(error);
}

}  // namespace pollux
