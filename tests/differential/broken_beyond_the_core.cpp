// SPDX-License-Identifier: MIT
// Backends that only the operations beyond the core, the pace `marked`, or a second watch find out.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "conformance/support/forwarding_backend.hpp"
#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"
#include "differential/broken_backends.hpp"

namespace pollux::differential {

namespace {

using support::ForwardingBackend;
using support::Handle;

/// Knows what is registered.
class Remembers : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    const auto error = ForwardingBackend::set_interest(handle, from, to, token);
    if (!error) note(handle, to, token);
    return error;
  }
  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    const auto error = ForwardingBackend::remove_closing(handle, from, token);
    if (!error) note(handle, RawInterest::none, token);
    return error;
  }
  std::error_code reset() override {
    known_.clear();
    return ForwardingBackend::reset();
  }

 protected:
  struct Known {
    RawInterest interest;
    Token token;
  };

  void note(NativeHandle handle, RawInterest interest, Token token) {
    if (interest == RawInterest::none) {
      known_.erase(handle);
    } else {
      known_[handle] = {interest, token};
    }
  }
  /// One more report of each that `is_up` is true of and nobody has reported as readable.
  template <class IsUp>
  void add_readable(std::span<RawEvent> out, WaitResult& result, IsUp is_up) {
    for (const auto& [handle, known] : known_) {
      if (!any(known.interest, RawInterest::in) || !is_up(handle)) continue;
      const auto reported = out.first(result.count);
      const auto same = std::ranges::find(reported, known.token, &RawEvent::token);
      if (same != reported.end()) {
        same->ready |= RawReady::in;
      } else if (result.count < out.size()) {
        out[result.count++] = {known.token, RawReady::in};
      }
    }
  }

  std::map<NativeHandle, Known> known_;
};

/// Loses a change of interest that comes behind a wake whose cause is gone.
class LosesVainChanges : public Remembers {
 public:
  using Remembers::Remembers;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    const bool changes = from != RawInterest::none && to != RawInterest::none && from != to;
    if (changes && received(handle) != received_[handle] && unread(handle) == 0) return {};
    const auto error = Remembers::set_interest(handle, from, to, token);
    if (from == RawInterest::none) received_[handle] = received(handle);
    return error;
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = Remembers::wait(out, timeout);
    for (const auto& [handle, known] : known_) received_[handle] = received(handle);
    return result;
  }

 private:
  static std::uint64_t received(NativeHandle handle) {
    return support::bytes_received(handle).value_or(0);
  }
  static int unread(NativeHandle handle) {
    int bytes = 0;
    ::ioctl(handle, FIONREAD, &bytes);
    return bytes;
  }

  std::map<NativeHandle, std::uint64_t> received_;
};

/// Holds what was removed open until the next wait.
class LetsGoLate : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (to == RawInterest::none) held_.push_back(Handle{::fcntl(handle, F_DUPFD_CLOEXEC, 0)});
    return ForwardingBackend::set_interest(handle, from, to, token);
  }
  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    return set_interest(handle, from, RawInterest::none, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    held_.clear();
    return ForwardingBackend::wait(out, timeout);
  }

 private:
  std::vector<Handle> held_;
};

/// Takes an urgent byte for one of the stream.
class TakesUrgentForIn : public Remembers {
 public:
  using Remembers::Remembers;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = Remembers::wait(out, timeout);
    add_readable(out, result, [](NativeHandle handle) {
      pollfd asked{handle, POLLPRI, 0};
      return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLPRI) != 0;
    });
    return result;
  }
};

/// Reports a byte whatever its owner's low-water mark is.
class HeedsNoLowWater : public Remembers {
 public:
  using Remembers::Remembers;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = Remembers::wait(out, timeout);
    add_readable(out, result, [](NativeHandle handle) {
      int bytes = 0;
      return ::ioctl(handle, FIONREAD, &bytes) == 0 && bytes > 0;
    });
    return result;
  }
};

/// Peeks at what it reports.
class Peeks : public Remembers {
 public:
  using Remembers::Remembers;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = Remembers::wait(out, timeout);
    for (const auto& [handle, known] : known_) {
      char byte = 0;
      if (result.count > 0) ::recv(handle, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    }
    return result;
  }
};

/// With a descriptor removes its duplicates, from other reactors' sets as well.
class TakesDuplicatesAlong : public Remembers {
 public:
  explicit TakesDuplicatesAlong(std::unique_ptr<Backend> inner) : Remembers{std::move(inner)} {
    everybody.push_back(this);
  }
  TakesDuplicatesAlong(const TakesDuplicatesAlong&) = delete;
  TakesDuplicatesAlong& operator=(const TakesDuplicatesAlong&) = delete;
  ~TakesDuplicatesAlong() override { std::erase(everybody, this); }

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (to == RawInterest::none) {
      for (TakesDuplicatesAlong* one : everybody) one->forget(file_of(handle), this);
    }
    return Remembers::set_interest(handle, from, to, token);
  }

 private:
  /// 0 if it is no socket: what has no inode of its own is left alone.
  static ino_t file_of(NativeHandle handle) {
    struct stat status {};
    ::fstat(handle, &status);
    return S_ISSOCK(status.st_mode) ? status.st_ino : 0;
  }
  void forget(ino_t file, const TakesDuplicatesAlong* by) {
    if (by == this || file == 0) return;
    for (const auto& [handle, known] : known_) {
      if (file_of(handle) == file)
        static_cast<void>(ForwardingBackend::set_interest(handle, known.interest, RawInterest::none,
                                                          known.token));
    }
  }

  inline static thread_local std::vector<TakesDuplicatesAlong*> everybody;
};

/// Of two reports, hands each over as the other's.
class TakesOneForTheOther : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count == 2) std::swap(out[0].ready, out[1].ready);
    return result;
  }
};

template <class Broken>
Contestant broken(std::string name) {
  return {std::move(name),
          Contestant::Make{[] { return std::make_unique<Broken>(sound_contestant().make()); }}};
}

}  // namespace

std::vector<Contestant> broken_for_longer_histories() {
  std::vector<Contestant> all{
      broken<LetsGoLate>("lets_go_late"),
      broken<HeedsNoLowWater>("heeds_no_low_water"),
      broken<Peeks>("peeks"),
      broken<TakesDuplicatesAlong>("takes_duplicates_along"),
      broken<TakesOneForTheOther>("takes_one_for_the_other"),
  };
  if (support::bytes_received(support::make_pair(support::PairKind::tcp4).local.get()))
    all.push_back(broken<LosesVainChanges>("loses_vain_changes"));
  // Of one that is not believed on the end, every `in` is looked into.
  if (any(sound_contestant().make()->reports(), RawReady::rdhup))
    all.push_back(broken<TakesUrgentForIn>("takes_urgent_for_in"));
  return all;
}

}  // namespace pollux::differential
