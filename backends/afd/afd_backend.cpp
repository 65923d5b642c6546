// SPDX-License-Identifier: MIT
// Windows' own poll of sockets, by requests to the device AFD that complete once, at one completion
// port. The README has what is particular about it.
#include "afd_backend.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <vector>

#include <pollux/backend_support.hpp>
#include <pollux/detail/afd_poll.hpp>
#include <pollux/error.hpp>

#include "registration.hpp"
#include "wait_timer.hpp"

namespace pollux {

namespace {

using namespace detail;
using afd::Registration;

class AfdBackend final : public Backend {
 public:
  explicit AfdBackend(std::error_code& error)
      : port_{::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1)} {
    if (port_ == nullptr) error = {static_cast<int>(::GetLastError()), native_category()};
    // So that a system without the device refuses the backend, and not its first registration.
    if (!error) error = afd::Device{system_calls_}.open(port_, polls);
  }
  ~AfdBackend() override {
    if (port_ == nullptr) return;
    forget_all();
    ::CloseHandle(port_);
  }

  std::string_view name() const noexcept override { return "afd"; }
  RawReady reports() const noexcept override {
    return RawReady::in | RawReady::out | RawReady::rdhup | RawReady::err | RawReady::pri;
  }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::edge)) return system_error_code(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    Registration* const found = find(handle, token);
    if (found == nullptr) return system_error_code(std::errc::no_such_file_or_directory);
    // Only the question has to be asked; otherwise the caller may be trusted.
    const bool is_ours =
        from == to ? files_.is_same(token.slot, handle) : !files_.was_closed(token.slot);
    if (!is_ours || to == RawInterest::none) {
      remove(*found);
    } else if (from != to) {
      change(*found, to);
    }
    return is_ours ? std::error_code{} : system_error_code(std::errc::no_such_file_or_directory);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result;
    // What has completed since the last wait says what was true then. It is armed anew, ahead of
    // what the last wait has reported: what is still true completes at once.
    const auto reported = static_cast<std::ptrdiff_t>(to_arm_.size());
    bool woken = false;
    while (pending_ != 0 && complete(most_at_once, 0, false, {}, result, woken) == most_at_once) {
    }
    std::rotate(to_arm_.begin() + kept_back_, to_arm_.begin() + reported, to_arm_.end());
    const auto most = std::min<std::size_t>(out.size(), most_at_once);
    // If of as many as there is room for one has something to report, the turn of the others is the
    // next wait: where there is little room, each wait would arm all of them.
    if (to_arm_.size() > most) {
      if (result.error == 0) result.error = arm_first(most);
      kept_back_ = static_cast<std::ptrdiff_t>(to_arm_.size());
      if (result.error == 0) complete(most, 0, false, out, result, woken);
      if (woken || result.count != 0 || result.error != 0) return result;
    }
    if (result.error == 0) result.error = arm_first(to_arm_.size());
    kept_back_ = static_cast<std::ptrdiff_t>(to_arm_.size());
    if (result.error != 0) return result;
    const auto timeout_ms = static_cast<DWORD>(woken ? 0 : timeout.poll_ms());  // −1 is INFINITE
    const bool is_timed = !woken && timer_.set(timeout);
    complete(most, timeout_ms, is_timed, out, result, woken);
    if (is_timed) timer_.cancel();
    return result;
  }

  void wake() noexcept override {
    if (is_wake_posted_.exchange(true, std::memory_order_seq_cst)) return;
    if (::PostQueuedCompletionStatus(port_, 0, wakes, nullptr) == 0)
      is_wake_posted_.store(false, std::memory_order_seq_cst);
  }

  // The port stays: other threads may be waking it, and no registration leaves anything in it.
  std::error_code reset() override {
    forget_all();
    return {};
  }

 private:
  // The port's keys.
  static constexpr ULONG_PTR polls = 0;
  static constexpr ULONG_PTR wakes = 1;
  static constexpr ULONG most_at_once = 256;
  /// To cancel one poll of a handle the kernel goes through all of them.
  static constexpr std::uint32_t polls_a_device = 32;

  Registration* find(NativeHandle handle, Token token) const noexcept {
    Registration* const found = token.slot < by_slot_.size() ? by_slot_[token.slot] : nullptr;
    return found != nullptr && found->token == token && found->handle == handle ? found : nullptr;
  }

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) try {
    if (token.slot >= by_slot_.size()) by_slot_.resize(std::size_t{token.slot} + 1);
    make_room();
    places_.make_room(handle);
    const std::uint32_t registered = places_.find(handle);
    const auto drop = [&] { remove(*by_slot_[registered]); };
    std::error_code error = files_.add_once(token.slot, handle, registered, drop);
    if (error) return error;
    places_.make_room(handle);  // it may have been dropped
    const auto base = static_cast<SOCKET>(files_.identity(token.slot).inode);
    Registration* made = nullptr;
    afd::Device* const device = report_memory(error, [&] { return device_for(token, error); });
    if (!error) made = new (std::nothrow) Registration{token, base, handle, interest, *device};
    if (!error && made == nullptr) error = system_error_code(std::errc::not_enough_memory);
    if (!error) error = arm(*made);
    if (error) {
      delete made;
      files_.remove(token.slot, handle);
      return error;
    }
    by_slot_[token.slot] = made;
    places_.put(handle, token.slot);
    ++registrations_;
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }

  /// For one more, and for all that can complete before the next wait.
  void make_room() {
    const std::size_t most = registrations_ + to_arm_.size() + 1;
    if (to_arm_.capacity() < most) to_arm_.reserve(2 * most);
  }

  afd::Device* device_for(Token token, std::error_code& error) {
    const std::size_t index = token.slot / polls_a_device;
    if (index >= devices_.size()) devices_.resize(index + 1);
    if (devices_[index] == nullptr) devices_[index] = std::make_unique<afd::Device>(system_calls_);
    if (!devices_[index]->is_open()) error = devices_[index]->open(port_, polls);
    return devices_[index].get();
  }

  void change(Registration& registration, RawInterest to) noexcept {
    registration.asked = to;
    // A poll that was made for more serves as well: what nobody asks for is not reported.
    const ULONG wanted = afd::to_native(to);
    if (registration.armed != 0 && (wanted & ~registration.armed) != 0)
      registration.device.cancel(registration);
  }

  void remove(Registration& registration) noexcept {
    files_.remove(registration.token.slot, registration.handle);
    places_.remove(registration.handle);
    by_slot_[registration.token.slot] = nullptr;
    --registrations_;
    registration.is_removed = true;
    if (registration.armed != 0) {
      registration.device.cancel(registration);
    } else if (!registration.is_queued) {
      delete &registration;
    }
  }

  std::error_code arm(Registration& registration) noexcept {
    // By number: it could be another's.
    if (files_.was_closed(registration.token.slot))
      return system_error_code(std::errc::bad_file_descriptor);
    const ULONG events = afd::to_native(registration.asked);
    const std::error_code error =
        registration.device.begin(registration, registration.base, events);
    if (!error) {
      registration.armed = events;
      ++pending_;
    }
    return error;
  }

  /// 0, or the number of the error; what is left is armed later.
  int arm_first(std::size_t most) noexcept {
    std::size_t armed = 0;
    int failed = 0;
    for (; armed < most && failed == 0; ++armed) {
      Registration& next = *to_arm_[armed];
      next.is_queued = false;
      if (next.is_removed) {
        delete &next;
      } else if (const std::error_code error = arm(next)) {
        if (files_.is_same(next.token.slot, next.handle)) {
          failed = error.value();
          next.is_queued = true;
          --armed;
        } else {
          remove(next);  // closed under its watch: gone by itself
        }
      }
    }
    to_arm_.erase(to_arm_.begin(), to_arm_.begin() + static_cast<std::ptrdiff_t>(armed));
    return failed;
  }

  /// Waits for completions: how many. Adds what they report, or drops it if there is no room at
  /// all. `is_alertable`: the timer may end it.
  ULONG complete(std::size_t most, DWORD timeout_ms, bool is_alertable, std::span<RawEvent> out,
                 WaitResult& result, bool& woken) noexcept {
    ULONG count = 0;
    ++system_calls_;
    if (::GetQueuedCompletionStatusEx(port_, entries_.data(), static_cast<ULONG>(most), &count,
                                      timeout_ms, is_alertable ? TRUE : FALSE) == 0) {
      const DWORD refused = ::GetLastError();
      if (refused != WAIT_TIMEOUT && refused != WAIT_IO_COMPLETION)
        result.error = static_cast<int>(refused);
      return 0;
    }
    for (ULONG i = 0; i < count; ++i) {
      RawEvent event;
      woken |= take(entries_[i], out.empty() ? nullptr : &event);
      if (event.ready != RawReady::none) out[result.count++] = event;
    }
    return count;
  }

  /// Takes a completion; what it reports is put into `event`, or dropped. Whether it was a wake.
  bool take(const OVERLAPPED_ENTRY& entry, RawEvent* event) noexcept {
    if (entry.lpCompletionKey == wakes) {
      is_wake_posted_.store(false, std::memory_order_seq_cst);
      return true;
    }
    auto& done = static_cast<Registration&>(*reinterpret_cast<afd::Poll*>(entry.lpOverlapped));
    done.armed = 0;
    --pending_;
    if (done.is_removed) {
      delete &done;
      return false;
    }
    const bool has_answer = done.status.Status == 0 && done.info.handle_count != 0;
    const ULONG events = has_answer ? done.info.polled.events : 0;
    if ((events & afd::local_close) != 0) {
      remove(done);
      return false;
    }
    if (event != nullptr)
      *event = {done.token, afd::to_raw(events, done.asked),
                events != 0 ? afd::error_of(done.info.polled) : 0};
    done.is_queued = true;
    to_arm_.push_back(&done);  // there is room
    return false;
  }

  /// Waits until the kernel writes to none of them any more.
  void forget_all() noexcept {
    for (Registration* const registration : by_slot_) {
      if (registration != nullptr) remove(*registration);
    }
    for (Registration* const queued : to_arm_) delete queued;
    to_arm_.clear();
    kept_back_ = 0;
    bool woken = false;
    WaitResult result;
    while (pending_ != 0 && result.error == 0)
      complete(most_at_once, INFINITE, false, {}, result, woken);
    if (woken) wake();
    devices_.clear();
    files_.reset();
  }

  HANDLE port_;
  std::atomic<bool> is_wake_posted_{false};
  std::vector<std::unique_ptr<afd::Device>> devices_;
  HandleRegistry files_{system_calls_};
  afd::WaitTimer timer_{system_calls_};
  HandleMap places_;                    ///< the slots of handles
  std::vector<Registration*> by_slot_;  ///< owned, as those in `to_arm_` that are removed
  std::vector<Registration*> to_arm_;
  std::ptrdiff_t kept_back_ = 0;  ///< at its front, those that a wait has left to the next
  std::size_t registrations_ = 0;
  std::size_t pending_ = 0;  ///< completions that are to come
  std::array<OVERLAPPED_ENTRY, most_at_once> entries_;
};

}  // namespace

std::unique_ptr<Backend> make_afd_backend(std::error_code& error) {
  return make_reporting<AfdBackend>(error);
}

}  // namespace pollux
