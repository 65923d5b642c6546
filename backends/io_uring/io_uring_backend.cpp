// SPDX-License-Identifier: MIT
// Linux io_uring: one poll request for each registration, handed over with the wait. What completes
// is a hint where it is older than the wait, and the truth where it was asked in it (README.md).
#include "io_uring_backend.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <new>
#include <utility>
#include <vector>

#include <poll.h>

#include <pollux/backend_support.hpp>

#include "ring.hpp"

namespace pollux {

namespace {

constexpr std::uint32_t no_slot = 0xFFFFFFFF;

/// What a completion brings back: whose request it was, and which of its requests.
struct Request {
  std::uint32_t slot = no_slot;
  std::uint32_t number = 0;
};
constexpr Request nobody{no_slot, 0};
constexpr Request wake_request{no_slot, 1};

std::uint64_t user_data(Request request) {
  return std::bit_cast<std::uint64_t>(request);
}

short to_native(RawInterest interest) {
  int events = 0;  // POLLHUP and POLLERR are always reported
  if (any(interest, RawInterest::in)) events |= POLLIN;
  if (any(interest, RawInterest::out)) events |= POLLOUT;
  if (any(interest, RawInterest::rdhup)) events |= POLLRDHUP;
  return static_cast<short>(events);
}

RawReady to_raw(int events) {
  RawReady ready = RawReady::none;
  if ((events & POLLIN) != 0) ready |= RawReady::in;
  if ((events & POLLOUT) != 0) ready |= RawReady::out;
  if ((events & POLLRDHUP) != 0) ready |= RawReady::rdhup;
  if ((events & POLLHUP) != 0) ready |= RawReady::hup;
  if ((events & POLLERR) != 0) ready |= RawReady::err;
  return ready;
}

/// What may be met at any time, and is over at the next.
bool is_passing(int error) {
  return error == EINTR || error == ETIME || error == EAGAIN || error == EBUSY;
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
    if (token.slot >= entries_.size()) return refusal(std::errc::no_such_file_or_directory);
    Entry& entry = entries_[token.slot];
    if (entry.handle != handle || entry.generation != token.generation)
      return refusal(std::errc::no_such_file_or_directory);
    if (to == RawInterest::none) return remove(token.slot);
    if (from == to) {  // asks whether the number still is the file that it was
      std::error_code error;
      if (identify(handle, error, system_calls_) == entry.identity && !error) return {};
      error = remove(token.slot);
      return error ? error : refusal(std::errc::no_such_file_or_directory);
    }
    entry.interest = to;
    entry.quiet = false;
    list(token.slot);
    return {};
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    ++wait_;
    while (const io_uring_cqe* old = ring_->completion()) take(*old);
    result.error = ask(timeout);
    if (result.error != 0) return result;
    const std::size_t room = std::min(out.size(), polled_.size());
    while (hints_.size() + result.count < room) {
      const io_uring_cqe* completion = ring_->completion();
      if (completion == nullptr) break;
      const RawEvent event = take(*completion);
      if (event.ready != RawReady::none) out[result.count++] = event;
    }
    if (!hints_.empty()) look(out.first(room), result);
    result.woken = std::exchange(woken_, false);
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    // A child's wake must not be its parent's.
    if (const auto error = wake_.renew_after_fork()) return error;
    if (const int error = renew()) return {error, std::system_category()};
    entries_.clear();
    slots_.clear();
    listed_.clear();
    hints_.clear();
    return {};
  }

 private:
  struct Entry {
    HandleIdentity identity;
    NativeHandle handle = no_handle;  ///< none: not in use
    std::uint32_t generation = 0;
    std::uint32_t number = 0;  ///< of its last request
    std::uint32_t asked = 0;   ///< the wait in which that was handed over
    RawInterest interest = RawInterest::none;
    bool armed = false;   ///< the kernel has that request
    bool multi = false;   ///< and goes on after it has completed
    bool quiet = false;   ///< of late nothing but what nobody wants to know: RDHUP
    bool listed = false;  ///< in listed_; these two outlive the registration
    bool hinted = false;  ///< in hints_
  };

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    // The kernel would take whatever it is given, and say so later: refuse at once what epoll
    // would.
    std::error_code error;
    const HandleIdentity identity = identify(handle, error, system_calls_);
    if (error) return error;
    const auto index = static_cast<std::size_t>(handle);
    if (index < slots_.size() && slots_[index] != no_slot) {
      if (entries_[slots_[index]].identity == identity) return refusal(std::errc::file_exists);
      error = remove(slots_[index]);  // closed under its watch, and the number given out again
    }
    if (token.slot < entries_.size() && entries_[token.slot].handle != no_handle)
      error = remove(token.slot);  // likewise, and nobody has said so
    if (error) return error;
    try {
      if (token.slot >= entries_.size()) {
        const std::size_t size = token.slot + token.slot / 2 + 16;
        listed_.reserve(size);
        hints_.reserve(size);
        entries_.resize(size);
      }
      if (index >= slots_.size()) slots_.resize(index + index / 2 + 16, no_slot);
    } catch (const std::bad_alloc&) {
      return refusal(std::errc::not_enough_memory);
    }
    Entry& entry = entries_[token.slot];
    entry.identity = identity;
    entry.handle = handle;
    entry.generation = token.generation;
    entry.interest = interest;
    slots_[index] = token.slot;
    list(token.slot);
    return {};
  }

  /// The kernel's request holds the file open: it must end now, or a close that follows would not
  /// be one. A registration that was reported last has none.
  std::error_code remove(std::uint32_t slot) {
    const bool armed = entries_[slot].armed;
    if (armed && !cancel(slot)) return refusal(std::errc::resource_unavailable_try_again);
    forget(slot);
    if (armed && ring_->flush() == EEXIST) static_cast<void>(renew());
    return {};
  }

  void forget(std::uint32_t slot) {
    Entry& entry = entries_[slot];
    slots_[static_cast<std::size_t>(entry.handle)] = no_slot;
    entry.handle = no_handle;
    entry.armed = entry.quiet = false;
  }

  /// To be asked for by the next wait.
  void list(std::uint32_t slot) {
    if (!std::exchange(entries_[slot].listed, true)) listed_.push_back(slot);
  }

  /// Hands over what is listed, and waits.
  int ask(Timeout timeout) {
    while (true) {
      ask_for_listed();
      const bool wanted = hints_.empty() && !woken_ && !timeout.is_zero();
      if (!wanted && !ring_->has_work()) return 0;
      const int error = ring_->enter(wanted ? 1 : 0, timeout);
      if (error != EEXIST) return is_passing(error) ? 0 : error;
      // The loop has moved to another thread.
      if (const int failed = renew()) return failed;
    }
  }

  void ask_for_listed() {
    if (!wake_armed_) {
      io_uring_sqe* request = ring_->request();
      if (request == nullptr) return;
      io_uring_prep_poll_multishot(request, wake_.handle(), POLLIN);
      request->user_data = user_data(wake_request);
      wake_armed_ = true;
    }
    std::size_t done = 0;
    while (done < listed_.size() && ask_for(listed_[done])) ++done;
    listed_.erase(listed_.begin(), listed_.begin() + static_cast<std::ptrdiff_t>(done));
  }

  /// False if there was no room for a request.
  bool ask_for(std::uint32_t slot) {
    Entry& entry = entries_[slot];
    if (entry.handle != no_handle) {
      const bool multi = entry.quiet || any(entry.interest, RawInterest::edge);
      const bool change = entry.armed && !entry.multi && !multi;
      if (entry.armed && !change && !cancel(slot)) return false;
      io_uring_sqe* request = ring_->request();
      if (request == nullptr) return false;
      const auto events = static_cast<unsigned>(to_native(entry.interest));
      if (change) {
        io_uring_prep_poll_update(request, user_data({slot, entry.number}), 0, events,
                                  IORING_POLL_UPDATE_EVENTS);
        answer_only_failure(request);
      } else {
        io_uring_prep_poll_add(request, entry.handle, events);
        if (multi) request->len = IORING_POLL_ADD_MULTI;
        entry.number = ++last_number_;
        request->user_data = user_data({slot, entry.number});
        entry.asked = wait_;
        entry.armed = true;
        entry.multi = multi;
      }
    }
    entry.listed = false;
    return true;
  }

  /// False if there was no room for a request.
  bool cancel(std::uint32_t slot) {
    io_uring_sqe* request = ring_->request();
    if (request == nullptr) return false;
    io_uring_prep_poll_remove(request, user_data({slot, entries_[slot].number}));
    answer_only_failure(request);
    entries_[slot].armed = false;
    return true;
  }

  /// A failure means that the other request has completed meanwhile, which is told by itself.
  static void answer_only_failure(io_uring_sqe* request) {
    request->flags |= IOSQE_CQE_SKIP_SUCCESS;
    request->user_data = user_data(nobody);
  }

  /// What there is to report, if it can be told from the completion alone.
  RawEvent take(const io_uring_cqe& completion) {
    const auto request = std::bit_cast<Request>(completion.user_data);
    const int result = completion.res;
    const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
    ring_->take();
    if (completion.user_data == user_data(wake_request)) {
      woken_ |= result >= 0;
      wake_armed_ = more;
    }
    if (request.slot >= entries_.size()) return {};
    Entry& entry = entries_[request.slot];
    if (!entry.armed || entry.number != request.number) return {};
    entry.armed = more;
    if (result == -EBADF || result == -EINVAL) {  // closed under its watch; not for this kernel
      forget(request.slot);
      return {};
    }
    const int wanted = to_native(entry.interest) | POLLHUP | POLLERR;
    entry.quiet = result > 0 && (result & ~wanted & POLLRDHUP) != 0;
    if (entry.asked != wait_) {
      if (!std::exchange(entry.hinted, true)) hints_.push_back(request.slot);
      return {};
    }
    const RawReady ready = result > 0 ? to_raw(result & wanted) : RawReady::none;
    if (ready != RawReady::none) {
      reported(request.slot);
    } else if (!entry.armed) {
      list(request.slot);
    }
    return {{request.slot, entry.generation}, ready};
  }

  /// Asks what is true of those that there are hints for, as far as there is room.
  void look(std::span<RawEvent> out, WaitResult& result) {
    const std::size_t count = std::min(hints_.size(), out.size() - result.count);
    for (std::size_t i = 0; i < count; ++i) {
      const Entry& entry = entries_[hints_[i]];
      polled_[i] = {entry.handle, to_native(entry.interest), 0};  // none is passed over
    }
    ++system_calls_;
    if (::poll(polled_.data(), count, 0) < 0) {
      if (!is_passing(errno) && result.count == 0) result.error = errno;
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t slot = hints_[i];
      Entry& entry = entries_[slot];
      const int events = polled_[i].revents;
      entry.hinted = false;
      if ((events & POLLNVAL) != 0) {
        // Closed under its watch: forgotten, as epoll's set does by itself.
        if (entry.armed) cancel(slot);
        forget(slot);
      } else if (const RawReady ready = to_raw(events); ready != RawReady::none) {
        out[result.count++] = {{slot, entry.generation}, ready};
        reported(slot);
      } else if (entry.handle != no_handle && !entry.armed) {
        list(slot);
      }
    }
    hints_.erase(hints_.begin(), hints_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  /// A condition is reported for as long as it holds: the next wait asks anew. An edge is not.
  void reported(std::uint32_t slot) {
    Entry& entry = entries_[slot];
    entry.quiet = false;
    if (!entry.armed || !any(entry.interest, RawInterest::edge)) list(slot);
  }

  /// A new ring, which knows nothing yet; what was asked for is asked anew.
  int renew() {
    std::error_code error;
    std::unique_ptr<Ring> fresh{new (std::nothrow) Ring{system_calls_, error}};
    if (!fresh) return ENOMEM;
    if (error) return error.value();
    ring_ = std::move(fresh);
    wake_armed_ = false;
    for (std::uint32_t slot = 0; slot < entries_.size(); ++slot) {
      entries_[slot].armed = false;
      if (entries_[slot].handle != no_handle) list(slot);
    }
    return 0;
  }

  WakeHandle wake_;
  std::unique_ptr<Ring> ring_;
  std::vector<Entry> entries_;         ///< by slot
  std::vector<std::uint32_t> slots_;   ///< by handle
  std::vector<std::uint32_t> listed_;  ///< what the next wait asks for
  std::vector<std::uint32_t> hints_;   ///< of whom something was heard; oldest first
  std::array<pollfd, 512> polled_;
  std::uint32_t wait_ = 0;
  std::uint32_t last_number_ = 0;
  bool wake_armed_ = false;
  bool woken_ = false;
};

}  // namespace

std::unique_ptr<Backend> make_io_uring_backend(std::error_code& error) {
  auto backend = std::make_unique<IoUringBackend>(error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace pollux
