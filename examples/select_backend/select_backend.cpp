// SPDX-License-Identifier: MIT
#include "select_backend.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <new>

#include <sys/select.h>

#include <pollux/backend_support.hpp>

namespace {

using namespace pollux;

class SelectBackend final : public Backend {
 public:
  explicit SelectBackend(std::error_code& error) : wake_{error} {
    if (!error && wake_.handle() >= FD_SETSIZE) error = refusal(std::errc::value_too_large);
  }

  std::string_view name() const noexcept override { return "select"; }

  // Not err: whoever asks for nothing is not woken by a failure.
  RawReady reports() const noexcept override { return RawReady::in | RawReady::out; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override try {
    if (any(to, RawInterest::edge | RawInterest::pri))
      return refusal(std::errc::operation_not_supported);
    const auto found = entries_.find(handle);
    const bool known =
        found != entries_.end() && files_.is_same(found->second.token.slot, handle, system_calls_);
    if (from == RawInterest::none) {
      if (known) return refusal(std::errc::file_exists);
      Entry& entry = entries_[handle];
      auto error = files_.add(token.slot, handle, system_calls_);
      // After that: a number that is not open is bad, however large it is.
      if (!error && handle >= FD_SETSIZE) {
        files_.remove(token.slot, handle, system_calls_);
        error = refusal(std::errc::value_too_large);
      }
      if (error) {
        entries_.erase(handle);
        return error;
      }
      entry = {token, to};
      return {};
    }
    if (found == entries_.end() || found->second.token != token)
      return refusal(std::errc::no_such_file_or_directory);
    found->second.interest = to;
    if (!known || to == RawInterest::none) forget(found);
    return known ? std::error_code{} : refusal(std::errc::no_such_file_or_directory);
  } catch (const std::bad_alloc&) {
    return refusal(std::errc::not_enough_memory);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    fd_set readable;
    fd_set writable;
    NativeHandle highest = fill(readable, writable);
    timeval limit{timeout.poll_ms() / 1000, timeout.poll_ms() % 1000 * 1000};
    WaitResult result;
    if (::select(highest + 1, &readable, &writable, nullptr,
                 timeout.is_infinite() ? nullptr : &limit) < 0) {
      if (errno == EBADF && wake_.is_open(system_calls_)) {
        forget_closed();
      } else if (errno != EINTR) {
        result.error = errno;
      }
      return result;
    }
    if (FD_ISSET(wake_.handle(), &readable)) wake_.drain();
    // From where the last wait left off, so that a short span starves nobody.
    auto next = entries_.upper_bound(last_);
    for (std::size_t i = 0; i < entries_.size() && result.count < out.size(); ++i, ++next) {
      if (next == entries_.end()) next = entries_.begin();
      last_ = next->first;
      RawReady bits = RawReady::none;
      if (FD_ISSET(last_, &readable)) bits |= RawReady::in;
      if (FD_ISSET(last_, &writable)) bits |= RawReady::out;
      if (bits == RawReady::none) continue;
      // That a call would not block, says select(), be it that it would fail: which, says poll(),
      // unless the limit of descriptors is 0 by now.
      const RawReady seen = poll_once(last_, next->second.interest, system_calls_);
      out[result.count++] = {next->second.token, seen != RawReady::none ? seen : bits};
    }
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    entries_.clear();
    files_.reset();
    return {};
  }

 private:
  struct Entry {
    Token token;
    RawInterest interest;
  };
  using Entries = std::map<NativeHandle, Entry>;

  void forget(Entries::iterator entry) {
    files_.remove(entry->second.token.slot, entry->first, system_calls_);
    entries_.erase(entry);
  }

  /// What select() is to be given; the highest handle in it.
  NativeHandle fill(fd_set& readable, fd_set& writable) const {
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(wake_.handle(), &readable);
    for (const auto& [handle, entry] : entries_) {
      if (any(entry.interest, RawInterest::in)) FD_SET(handle, &readable);
      if (any(entry.interest, RawInterest::out)) FD_SET(handle, &writable);
    }
    return entries_.empty() ? wake_.handle() : std::max(wake_.handle(), entries_.rbegin()->first);
  }

  /// select() refuses the whole set for one closed descriptor, and does not say for which.
  void forget_closed() {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto looked_at = entry++;
      const auto& [handle, registered] = *looked_at;
      if (!files_.is_same(registered.token.slot, handle, system_calls_)) forget(looked_at);
    }
  }

  WakeHandle wake_;
  Entries entries_;
  HandleRegistry files_;   ///< who they are
  NativeHandle last_ = 0;  ///< the one looked at last
};

}  // namespace

std::unique_ptr<pollux::Backend> make_select_backend(std::error_code& error) {
  auto backend = std::make_unique<SelectBackend>(error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}
