// SPDX-License-Identifier: MIT
// What the kernel is asked about the registrations: by poll requests of a ring, or in a set of
// epoll's that the ring waits on. And what its answers say.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <pollux/backend.hpp>

#include "epoll_set.hpp"
#include "registrations.hpp"
#include "ring.hpp"

namespace pollux::detail::io_uring {

class Requests {
 public:
  /// `calls` counts the system calls.
  Requests(Registrations& known, SystemCalls& calls) noexcept : known_{known}, calls_{calls} {}

  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;
  ~Requests() { give_up(); }

  /// A new ring, which knows nothing yet; what was asked for is asked anew. 0, or an errno.
  int renew() {
    std::error_code error;
    std::unique_ptr<Ring> fresh{new (std::nothrow) Ring{calls_, error}};
    if (!fresh) return ENOMEM;
    if (error) return error.value();
    give_up();
    ring_ = std::move(fresh);
    return 0;
  }
  /// The same, if the ring was given up.
  int renew_if_gone() { return ring_ ? 0 : renew(); }
  void forget_all() noexcept {
    set_.close();
    set_due_ = false;
    known_.clear();
  }

  /// What completes from here on is the truth if it is asked for from here on, and else a hint.
  void begin_pass() noexcept { ++pass_; }
  /// What there is to do without a wait.
  bool has_work() const noexcept { return ring_->has_work(); }
  bool set_is_due() const noexcept { return set_due_; }
  bool was_woken() const noexcept { return woken_; }
  void forget_wake() noexcept { woken_ = false; }
  /// Whether something that shows RDHUP unasked was asked for since this was last asked.
  bool take_quiet() noexcept { return std::exchange(quiet_, false); }
  /// A failure that nobody could be told of when it was found, once: an errno.
  int take_trouble() noexcept { return std::exchange(trouble_, 0); }
  bool is_in_trouble() const noexcept { return trouble_ != 0; }
  /// Makes the set, if such an interest cannot do without. 0, or an errno.
  int prepare_for(RawInterest interest) noexcept { return needs_set(interest) ? set_.open() : 0; }

  /// Asks for the wake handle and the set, where that has not been done.
  void ask_for_own(NativeHandle wake) {
    if (!wake_armed_) wake_armed_ = ring_->poll(wake_request, wake, POLLIN, true);
    if (set_.handle() != no_handle && !set_armed_ && !set_due_)
      set_armed_ = ring_->poll(set_request, set_.handle(), POLLIN, false);
  }

  Asked ask_for(std::uint32_t slot, Registration& listed) {
    if (listed.handle == no_handle) return Asked::done;
    if (listed.armed && !cancel(slot)) return Asked::no_room;
    if (is_for_set(listed) && put_into_set(slot)) return Asked::done;
    const bool quiet = listed.fin && !any(listed.interest, RawInterest::rdhup);
    const bool multi = quiet || any(listed.interest, RawInterest::edge);
    const std::uint32_t number = next_number();
    short events = to_native(listed.interest);
    if ((events & POLLIN) != 0) events = static_cast<short>(events | woken_mark);
    if (!ring_->poll({slot, number}, listed.handle, events, multi)) return Asked::no_room;
    listed.number = number;
    listed.asked = pass_;
    listed.armed = true;
    quiet_ |= quiet;
    return needs_set(listed.interest) ? Asked::again : Asked::done;
  }

  /// For the next enter(). False if there was no room for a request.
  bool cancel(std::uint32_t slot) {
    Registration& ended = known_[slot];
    if (ring_->cancel({slot, ended.number})) ended.armed = false;
    return !ended.armed;
  }

  /// At once: no file is held open by what was asked.
  void end(std::uint32_t slot) {
    const Registration& ended = known_[slot];
    if (ended.in_set) set_.remove(ended.handle);
    if (ended.armed) take_all();  // it may have completed
    if (!ended.armed) return;
    if (!ring_->cancel({slot, ended.number})) return give_up();
    // What is being woken at this moment completes a little later.
    for (int tries = 0; ended.armed && tries < 100; ++tries) {
      const int error = ring_->flush();
      take_all();
      if (error == EEXIST || error == EBADR) return give_up();
      if (error != 0) return;  // handed over with the next wait, or that reports it
    }
  }

  /// Hands over what was asked for, and waits if there is time. 0, or an errno.
  int enter(Timeout timeout) {
    if (timeout.is_zero() && !ring_->has_work()) return 0;
    const int error = ring_->enter(timeout.is_zero() ? 0 : 1, timeout);
    // The loop has moved to another thread; there was no memory for what has completed.
    return error == EEXIST || error == EBADR ? renew() : error;
  }

  std::optional<Completion> next() noexcept { return ring_->next(); }

  /// What has completed is a hint by now.
  void take_all() {
    ++pass_;
    while (const auto old = ring_->next()) take(*old);
  }

  /// What there is to report, if it can be told from the completion alone.
  RawEvent take(const Completion& completion) {
    const auto [request, result, more] = completion;
    if (!known_.is_slot(request.slot)) return take_own(completion), RawEvent{};
    Registration& known = known_[request.slot];
    if (!known.armed || known.number != request.number) {
      // A cancel was in vain: there is no such request.
      if (request.number == (known.number | Ring::answer)) known.armed &= result != -ENOENT;
      return {};
    }
    known.armed = more;
    if (result < 0) return take_failure(request.slot, result), RawEvent{};
    known.fin |= (result & POLLRDHUP) != 0;
    if (known.asked != pass_ || (result & woken_mark) != 0) {
      known.woke = static_cast<short>(known.woke | result);
      known_.hint(request.slot);
      return {};
    }
    const RawReady ready = to_raw(known, result);
    if (ready != RawReady::none) {
      reported(request.slot);
    } else if (!known.armed) {
      known_.list(request.slot);
    }
    return {{request.slot, known.generation}, ready};
  }

  /// A condition is reported for as long as it holds: the next wait asks anew. An edge is not.
  void reported(std::uint32_t slot) {
    Registration& known = known_[slot];
    known.misses = 0;
    if (!known.armed || !any(known.interest, RawInterest::edge)) known_.list(slot);
  }

  /// Reports what is true of those in the set, as far as there is room: how many. It needs no look.
  std::size_t take_from_set(std::span<RawEvent> out) {
    std::array<epoll_event, 64> events;
    const std::size_t room = std::min(events.size(), out.size());
    if (room == 0) return 0;
    const int count = set_.take({events.data(), room});
    if (count < 0 && errno != EINTR) trouble_ = errno;
    set_due_ = false;  // if it has more to tell, the next request for it completes at once
    std::size_t filled = 0;
    bool all_known = true;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto [slot, number] = EpollSet::name_of(event);
      if (!known_.is_slot(slot) || !known_[slot].in_set || known_[slot].number != number) {
        all_known = false;
        continue;
      }
      const RawReady ready = to_raw(known_[slot], static_cast<int>(event.events));
      if (ready != RawReady::none) out[filled++] = {{slot, known_[slot].generation}, ready};
    }
    if (!all_known) {
      // Closed under its watch, with a duplicate alive: it can't be removed, and would be told of
      // for ever.
      set_.close();
      known_.leave_set();
    }
    return filled;
  }

 private:
  /// Says of a socket's completion that it was woken, and not found so when it was asked: each
  /// wakes its readers with it, and none is ever in that state. What has woken it may be an urgent
  /// byte, or a broken datagram: nothing to read.
  static constexpr int woken_mark = POLLRDBAND;

  static constexpr std::uint32_t no_slot = 0xFFFFFFFF;
  static constexpr Request wake_request{no_slot, 1};
  static constexpr Request set_request{no_slot, 2};

  /// Its requests end, if only by the kernel, a little later. The next wait makes a new one.
  void give_up() noexcept {
    if (ring_ && ring_->is_mine()) end_all();
    ring_.reset();
    wake_armed_ = set_armed_ = false;
    known_.disarm_all();
  }

  /// One by one: the ring takes quadratic time for all. No more than completions have room.
  void end_all() noexcept {
    unsigned ended = 0;
    for (std::uint32_t slot = 0; known_.is_slot(slot); ++slot) {
      if (!known_[slot].armed) continue;
      if (!cancel(slot)) return;
      if (++ended % 256 != 0) continue;
      if (ring_->flush() != 0) return;
      while (ring_->next()) {
      }
    }
  }

  std::uint32_t next_number() noexcept {
    return last_number_ = (last_number_ + 1) & Ring::largest_number;
  }

  /// A request that asks for `pri` alone is not woken by it (Linux 6.18), and a look may come too
  /// late: some conditions are told only once.
  static bool needs_set(RawInterest interest) {
    return any(interest, RawInterest::pri) && !any(interest, RawInterest::rdhup);
  }

  /// Who asks for more than `in` is nobody's address.
  bool is_for_set(Registration& asked) {
    if (needs_set(asked.interest)) asked.for_set = true;
    if (!asked.placed && to_native(asked.interest) == POLLIN) {
      ++calls_;
      asked.placed = true;
      asked.for_set |= is_address(asked.handle);
    }
    return asked.for_set;
  }

  /// False if it must be asked for by a request all the same.
  bool put_into_set(std::uint32_t slot) {
    Registration& put = known_[slot];
    const std::uint32_t number = next_number();
    std::uint32_t events = static_cast<std::uint16_t>(to_native(put.interest));
    if (any(put.interest, RawInterest::edge)) events |= EPOLLET;
    set_error_ = set_.put(put.handle, events, {slot, number}, put.in_set);
    put.in_set = set_error_ == 0;
    if (put.in_set) put.number = number;
    const bool is_open = set_error_ != EBADF || ::fcntl(put.handle, F_GETFD) >= 0;
    if (set_error_ == ENOENT || !is_open) {
      known_.forget(slot);  // closed under its watch
      return true;
    }
    if (set_error_ == EBADF || set_error_ == EINVAL) {
      trouble_ = EBADF;  // the set was closed
    } else if (!put.in_set && needs_set(put.interest)) {
      trouble_ = set_error_;  // the request that is made instead is not woken by all it asks for
    }
    return put.in_set;
  }

  void take_failure(std::uint32_t slot, int result) {
    Registration& known = known_[slot];
    if (result == -EBADF) return known_.forget(slot);  // closed under its watch
    if (result != -ECANCELED && result != -ENOMEM) {
      // It has more wait queues than a request can wait on, or go on to wait on.
      if (known.for_set && known.asked == pass_) trouble_ = set_error_ != 0 ? set_error_ : -result;
      known.for_set = true;
    }
    if (!known.armed) known_.list(slot);
  }

  /// Of the wake handle, or the set.
  void take_own(const Completion& completion) {
    const bool is_wake = completion.request == wake_request;
    if (!is_wake && completion.request != set_request) return;
    (is_wake ? wake_armed_ : set_armed_) = completion.more;
    if (completion.result >= 0) {
      (is_wake ? woken_ : set_due_) = true;
    } else if (completion.result != -ECANCELED && completion.result != -ENOMEM) {
      trouble_ = -completion.result;  // somebody has closed it
    }
  }

  Registrations& known_;
  SystemCalls& calls_;
  std::unique_ptr<Ring> ring_;
  EpollSet set_{calls_};
  std::uint32_t pass_ = 0;
  std::uint32_t last_number_ = 0;
  int trouble_ = 0;
  int set_error_ = 0;  ///< why the set has refused what was last put into it
  bool wake_armed_ = false;
  bool woken_ = false;
  bool set_armed_ = false;  ///< the ring waits on the set
  bool set_due_ = false;    ///< which has something to tell
  bool quiet_ = false;
};

}  // namespace pollux::detail::io_uring
