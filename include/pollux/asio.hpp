// SPDX-License-Identifier: MIT
// A backend on standalone Asio, for a reactor on an io_context of the application's own. Costs only
// those who include it; pollux itself does not need Asio to be used.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>
#if defined(ASIO_HAS_IOCP)
#include <pollux/detail/asio_windows.hpp>
#else
#include <pollux/detail/asio_descriptor.hpp>
#endif

namespace pollux {

namespace detail {

/// Keeps entries whose descriptor was closed before it was removed. Asio could only remove them
/// by number, which by now may be another's, and with a duplicate alive epoll still holds a pointer
/// to Asio's state for them: it must stay, as long as the context does.
class AsioOrphans : public ::asio::execution_context::service {
 public:
  using key_type = AsioOrphans;
  static inline ::asio::execution_context::id id;

  explicit AsioOrphans(::asio::execution_context& context) : service{context} {}
  void adopt(std::shared_ptr<AsioEntry> entry) noexcept {
    entry->next_ = std::move(first_);
    first_ = std::move(entry);
  }
  /// Releases the entry of `handle`, which is the same open file again.
  bool take_back(NativeHandle handle, const HandleIdentity& identity) noexcept {
    std::shared_ptr<AsioEntry>* found = nullptr;
    for (auto* next = &first_; *next != nullptr; next = &(*next)->next_) {
      if ((*next)->handle() != handle || (*next)->identity() != identity) continue;
      if (found != nullptr) return false;  // of several eventfds, say, it is not known which one
      found = next;
    }
    if (found == nullptr) return false;
    take(*found)->release();
    return true;
  }

 private:
  void shutdown() override {
    while (first_ != nullptr) take(first_)->release();
  }
  static std::shared_ptr<AsioEntry> take(std::shared_ptr<AsioEntry>& place) noexcept {
    std::shared_ptr<AsioEntry> taken = std::move(place);
    place = std::move(taken->next_);
    return taken;
  }

  std::shared_ptr<AsioEntry> first_;
};

class AsioBackend final : public Backend {
 public:
  /// On a context of its own, or on `context` if that is not null.
  AsioBackend(::asio::io_context* context, std::error_code& error)
      : wake_handle_{system_calls_, error}, context_{context} {
    if (!error) error = context != nullptr ? move_to(*context) : reset();
  }
  ~AsioBackend() override {
    has_left_ = !leave_the_parents();
    forget_wake();
    forget_all();
    // It would take out of its parent's set what is left in its own.
    if (!has_left_) static_cast<void>(own_.release());
  }

  std::string_view name() const noexcept override { return "asio"; }
  RawReady reports() const noexcept override { return detail::asio_reports; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::edge)) return system_error_code(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    const std::uint32_t place = places_.find(handle);
    if (place == HandleMap::none || entries_[place]->token() != token)
      return system_error_code(std::errc::no_such_file_or_directory);
    // Asio would not say that the descriptor was closed.
    const bool unchanged = is_unchanged(*entries_[place]);
    if (to != RawInterest::none && unchanged)
      return from != to ? AsioEntry::arm(entries_[place], to) : std::error_code{};
    remove(place, unchanged);
    return unchanged ? std::error_code{} : system_error_code(std::errc::no_such_file_or_directory);
  }

  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    return set_interest(handle, from, RawInterest::none, token);  // asks by itself
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    if (const auto error = ask_again()) return {.error = error.value()};
    if (context_->stopped()) context_->restart();
    ++system_calls_;
    if (reported_.empty() && !timeout.is_zero()) run_one(timeout);
    // What else is complete. Bounded: an application's handlers may post themselves for ever.
    for (std::size_t i = 0; i < 3 * out.size() && context_->poll_one() != 0; ++i) {
    }
    WaitResult result;
    bool woken = false;
    std::size_t handed_out = 0;
    while (result.count < out.size() && handed_out < reported_.size()) {
      AsioEntry& entry = *reported_[handed_out++];
      if (!entry.active()) continue;
      const RawReady ready = entry.take_ready(system_calls_);
      if (&entry == wake_.get()) {
        wake_handle_.drain();
        woken = true;
      } else if (ready != RawReady::none) {
        out[result.count++] = {entry.token(), ready, entry.error()};
      }
    }
    keep_handed_out(handed_out);
    if (result.count == 0 && !woken && !timeout.is_zero() && !wake_handle_.is_open())
      result.error = system_error_code(std::errc::bad_file_descriptor).value();
    return result;
  }

  void wake() noexcept override { wake_handle_.signal(); }

  std::error_code reset() override {
    if (const auto error = leave_the_parents()) return error;
    if (const auto error = wake_handle_.renew_after_fork()) return error;
    if (!own_ && context_ != nullptr) {
      // Asio knows a number once: the wake handle stays where it is unless it is another.
      if (wake_ == nullptr || wake_->handle() != wake_handle_.handle()) return move_to(*context_);
      forget_all();
      return {};
    }
    std::unique_ptr<::asio::io_context> fresh;
    try {
      // Without its locks: no other thread ever comes to it.
      fresh = std::make_unique<::asio::io_context>(ASIO_CONCURRENCY_HINT_UNSAFE);
    } catch (const std::system_error& failure) {
      return {failure.code().value(), native_category()};
    } catch (const std::bad_alloc&) {
      return system_error_code(std::errc::not_enough_memory);
    }
    if (const auto error = move_to(*fresh)) return error;
    own_ = std::move(fresh);
    return {};
  }

 private:
  static constexpr std::chrono::seconds longest_alone{5};

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    const std::uint32_t old = places_.find(handle);
    const std::uint32_t registered =
        old != HandleMap::none ? entries_[old]->token().slot : HandleMap::none;
    const auto drop = [&] { remove(old, false); };
    if (const auto error = files_.add_once(token.slot, handle, registered, drop)) return error;
    const auto error = add_entry(handle, interest, token);
    if (error) files_.remove(token.slot, handle);
    return error;
  }

  std::error_code add_entry(NativeHandle handle, RawInterest interest, Token token) try {
    make_room();
    places_.make_room(handle);
    const HandleIdentity identity = files_.identity(token.slot);
    auto entry = std::make_shared<AsioEntry>(*context_, token, reported_);
    std::error_code error = AsioEntry::open(entry, handle, identity);
    // The number stands for a file that was buried under it: now it can be removed.
    if (error == std::errc::file_exists && orphans_->take_back(handle, identity))
      error = AsioEntry::open(entry, handle, identity);
    if (!error) error = AsioEntry::arm(entry, interest);
    if (error) {
      entry->disown();
      entry->release();
      return error;
    }
    places_.put(handle, static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back(std::move(entry));
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }

  /// For one more, and for all that can be reported at one time: a completion could not say that it
  /// has no memory.
  void make_room() {
    const std::size_t most = reported_.size() + entries_.size() + 2;
    for (AsioEntry::Queue* queue : {&entries_, &reported_, &handed_out_}) {
      if (queue->capacity() < most) queue->reserve(2 * most);
    }
  }

  /// Asio does not say that its own descriptors were closed, and turns without end: it is not left
  /// alone for long. (The core waits again.)
  void run_one(Timeout timeout) {
    if (timeout.duration() <= longest_alone) {
      context_->run_one_for(timeout.duration());
    } else if (context_->run_one_until(alone_until_) == 0) {
      alone_until_ = std::chrono::steady_clock::now() + longest_alone;
    }
  }

  /// What was reported by the last wait is asked about again: level-triggered, by re-arming.
  std::error_code ask_again() {
    std::error_code error;
    auto next = handed_out_.begin();
    for (; next != handed_out_.end() && !error; ++next) {
      if (!(*next)->active()) continue;
      ++system_calls_;
      error = AsioEntry::arm_again(*next, files_);
    }
    if (error) {
      handed_out_.erase(handed_out_.begin(), next - 1);
    } else {
      handed_out_.clear();
    }
    return error;
  }

  /// The first ones have been handed out: mostly all. Nothing is left of those before them.
  void keep_handed_out(std::size_t count) noexcept {
    if (count == reported_.size()) return handed_out_.swap(reported_);
    const auto end = reported_.begin() + static_cast<std::ptrdiff_t>(count);
    std::move(reported_.begin(), end, std::back_inserter(handed_out_));  // there is room
    reported_.erase(reported_.begin(), end);
  }

  bool is_unchanged(AsioEntry& entry) { return files_.is_same(entry.token().slot, entry.handle()); }

  /// Fills the gap with the last entry.
  void remove(std::uint32_t place, bool unchanged) noexcept {
    const std::shared_ptr<AsioEntry> removed = std::move(entries_[place]);
    const NativeHandle handle = removed->handle();
    files_.remove(removed->token().slot, handle);
    places_.remove(handle);
    if (place != entries_.size() - 1) {
      entries_[place] = std::move(entries_.back());
      places_.put(entries_[place]->handle(), place);
    }
    entries_.pop_back();
    let_go(removed, unchanged);
  }

  void let_go(const std::shared_ptr<AsioEntry>& entry, bool unchanged) noexcept {
    entry->disown();
    if (!AsioEntry::outlives_its_handle || (unchanged && has_left_)) {
      entry->release();
    } else {
      orphans_->adopt(entry);
    }
  }

  /// From now on all is registered with `context`, and nothing yet. On error all is as before.
  std::error_code move_to(::asio::io_context& context) try {
    make_room();
    AsioOrphans& orphans = ::asio::use_service<AsioOrphans>(context);
    const auto wake = std::make_shared<AsioEntry>(context, Token{0xFFFFFFFF, 0}, reported_);
    auto error = AsioEntry::open(wake, wake_handle_.handle(), {});
    if (!error) error = AsioEntry::arm(wake, RawInterest::in);
    if (error) {
      wake->disown();
      wake->release();
      return error;
    }
    forget_wake();
    forget_all();
    context_ = &context;
    orphans_ = &orphans;
    wake_ = wake;
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  } catch (const std::system_error& failure) {  // Asio makes its own set when it is first needed
    return {failure.code().value(), native_category()};
  }

  /// In the child of a fork Asio's kernel objects are the parent's too: what is removed here would
  /// be removed there. Asio makes new ones in notify_fork() (the application calls that of its own
  /// context).
  std::error_code leave_the_parents() noexcept {
    const unsigned forks = fork_count();
    try {
      if (fork_count_ != forks && own_) own_->notify_fork(::asio::io_context::fork_child);
    } catch (const std::bad_alloc&) {
      return system_error_code(std::errc::not_enough_memory);
    } catch (const std::system_error&) {
      // A descriptor was closed under its watch, and the rest is registered anew by the core.
    }
    fork_count_ = forks;
    return {};
  }

  void forget_all() noexcept {
    for (const auto& entry : entries_) let_go(entry, is_unchanged(*entry));
    entries_.clear();
    places_.clear();
    files_.reset();  // not one by one: in the child of a fork they are the parent's
    // What was reported of the wake handle, or is to be asked about, stays so; nothing else does,
    // or it could outlive its context.
    for (AsioEntry::Queue* queue : {&reported_, &handed_out_})
      std::erase_if(*queue, [](const auto& entry) { return !entry->active(); });
  }
  void forget_wake() noexcept {
    if (wake_ != nullptr) let_go(wake_, true);
    wake_ = nullptr;
  }

  unsigned fork_count_ = fork_count();
  bool has_left_ = true;  ///< the parent's kernel objects, if it is a child's
  WakeHandle wake_handle_;
  std::unique_ptr<::asio::io_context> own_;  ///< null on an application's context
  ::asio::io_context* context_;
  AsioOrphans* orphans_ = nullptr;  ///< the context's
  HandleRegistry files_{system_calls_};
  AsioEntry::Queue reported_;    ///< complete, not yet handed out
  AsioEntry::Queue handed_out_;  ///< handed out by the last wait
  /// Not moved with each wait, which would read the clock once more: one in 5 seconds may be cut
  /// short.
  std::chrono::steady_clock::time_point alone_until_ =
      std::chrono::steady_clock::now() + longest_alone;
  AsioEntry::Queue entries_;
  HandleMap places_;  ///< in it
  std::shared_ptr<AsioEntry> wake_;
};

}  // namespace detail

/// A backend that runs on `context`, for Reactor{std::unique_ptr<Backend>}: the reactor's waits run
/// the context, and with it the application's own handlers; what those throw leaves run*().
/// `context` must outlive the reactor, and nobody else may run it meanwhile. Null and an error if
/// the process is out of descriptors or memory. In one program there must be one Asio: link a
/// static pollux that has its own asio backend only where both are compiled against the same
/// version and settings of Asio.
inline std::unique_ptr<Backend> make_asio_backend(::asio::io_context& context,
                                                  std::error_code& error) {
  return make_reporting<detail::AsioBackend>(error, &context);
}

}  // namespace pollux
