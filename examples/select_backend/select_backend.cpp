// SPDX-License-Identifier: MIT
#include "select_backend.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/select.h>

#include <pollux/backend_support.hpp>

namespace {

using namespace pollux;

class SelectBackend final : public Backend {
 public:
  explicit SelectBackend(std::error_code& error) : wake_{system_calls_, error} {
    if (!error && wake_.handle() >= FD_SETSIZE)
      error = system_error_code(std::errc::value_too_large);
  }

  std::string_view name() const noexcept override { return "select"; }

  // Not err: whoever asks for nothing is not woken by a failure.
  RawReady reports() const noexcept override { return RawReady::in | RawReady::out; }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (any(to, RawInterest::edge | RawInterest::pri))
      return system_error_code(std::errc::operation_not_supported);
    if (from == RawInterest::none) return add(handle, to, token);
    const std::uint32_t place = places_.find(handle);
    if (place == HandleMap::none || entries_[place].token != token)
      return system_error_code(std::errc::no_such_file_or_directory);
    const bool is_ours = files_.is_same(token.slot, handle);
    entries_[place].interest = to;
    if (!is_ours || to == RawInterest::none) remove(place);
    return is_ours ? std::error_code{} : system_error_code(std::errc::no_such_file_or_directory);
  }

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    fd_set readable;
    fd_set writable;
    NativeHandle highest = fill(readable, writable);
    timeval limit{timeout.poll_ms() / 1000, timeout.poll_ms() % 1000 * 1000};
    WaitResult result;
    if (::select(highest + 1, &readable, &writable, nullptr,
                 timeout.is_infinite() ? nullptr : &limit) < 0) {
      if (errno == EBADF && wake_.is_open()) {
        forget_closed();
      } else if (errno != EINTR) {
        result.error = errno;
      }
      return result;
    }
    if (FD_ISSET(wake_.handle(), &readable)) wake_.drain();
    // From where the last wait left off, so that a short span starves nobody.
    for (std::size_t i = 0; i < entries_.size() && result.count < out.size(); ++i) {
      if (next_ >= entries_.size()) next_ = 0;
      const auto& [handle, token, interest] = entries_[next_++];
      RawReady bits = RawReady::none;
      if (FD_ISSET(handle, &readable)) bits |= RawReady::in;
      if (FD_ISSET(handle, &writable)) bits |= RawReady::out;
      if (bits == RawReady::none) continue;
      // That a call would not block, says select(), be it that it would fail: which, says poll(),
      // unless the limit of descriptors is 0 by now.
      const RawReady seen = poll_once(handle, interest, system_calls_);
      out[result.count++] = {token, seen != RawReady::none ? seen : bits};
    }
    return result;
  }

  void wake() noexcept override { wake_.signal(); }

  std::error_code reset() override {
    entries_.clear();
    places_.clear();
    files_.reset();
    return {};
  }

 private:
  struct Entry {
    NativeHandle handle;
    Token token;
    RawInterest interest;
  };

  std::error_code add(NativeHandle handle, RawInterest interest, Token token) {
    const std::uint32_t old = places_.find(handle);
    const std::uint32_t registered =
        old != HandleMap::none ? entries_[old].token.slot : HandleMap::none;
    const auto drop = [&] { remove(old); };
    auto error = files_.add_once(token.slot, handle, registered, drop);
    if (error) return error;
    // After that: a number that is not open is bad, however large it is.
    if (handle >= FD_SETSIZE) {
      error = system_error_code(std::errc::value_too_large);
    } else {
      report_memory(error, [&] {
        places_.make_room(handle);
        entries_.push_back({handle, token, interest});
      });
    }
    if (error) {
      files_.remove(token.slot, handle);
    } else {
      places_.put(handle, static_cast<std::uint32_t>(entries_.size() - 1));
    }
    return error;
  }

  /// Fills the gap with the last entry.
  void remove(std::uint32_t place) {
    files_.remove(entries_[place].token.slot, entries_[place].handle);
    places_.remove(entries_[place].handle);
    if (place != entries_.size() - 1) {
      entries_[place] = entries_.back();
      places_.put(entries_[place].handle, place);
    }
    entries_.pop_back();
  }

  /// What select() is to be given; the highest handle in it.
  NativeHandle fill(fd_set& readable, fd_set& writable) const {
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(wake_.handle(), &readable);
    NativeHandle highest = wake_.handle();
    for (const auto& [handle, token, interest] : entries_) {
      if (any(interest, RawInterest::in)) FD_SET(handle, &readable);
      if (any(interest, RawInterest::out)) FD_SET(handle, &writable);
      highest = std::max(highest, handle);
    }
    return highest;
  }

  /// select() refuses the whole set for one closed descriptor, and does not say for which.
  void forget_closed() {
    for (auto place = static_cast<std::uint32_t>(entries_.size()); place-- > 0;) {
      const Entry& entry = entries_[place];
      if (!files_.is_same(entry.token.slot, entry.handle)) remove(place);
    }
  }

  WakeHandle wake_;
  std::vector<Entry> entries_;
  HandleMap places_;                     ///< in it
  HandleRegistry files_{system_calls_};  ///< who they are
  std::size_t next_ = 0;                 ///< the one to be looked at first
};

}  // namespace

std::unique_ptr<pollux::Backend> make_select_backend(std::error_code& error) {
  auto backend = std::make_unique<SelectBackend>(error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}
