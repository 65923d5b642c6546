// SPDX-License-Identifier: MIT
#include "differential/broken_backends.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>

#include <pollux/backends.hpp>

#include "conformance/support/forwarding_backend.hpp"

namespace pollux::differential {

namespace {

using support::ForwardingBackend;

constexpr Token nobody{0xFFFFFFFF, 0};

/// Changes the bits of each report.
class ChangesBits : public ForwardingBackend {
 public:
  using Change = std::function<RawReady(RawReady)>;
  ChangesBits(std::unique_ptr<Backend> inner, Change change)
      : ForwardingBackend{std::move(inner)}, change_{std::move(change)} {}

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    for (RawEvent& event : out.first(result.count)) event.ready = change_(event.ready);
    return result;
  }

 private:
  Change change_;
};

/// Reports the last report once more when there is nothing to report.
class Repeats : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count == 0 && last_.ready != RawReady::none) {
      out[result.count++] = std::exchange(last_, {});
    } else if (result.count > 0) {
      last_ = out[0];
    }
    return result;
  }

 private:
  RawEvent last_;
};

/// Reports each registration once, and again only when its interest is changed.
class Once : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    delivered_ = nobody;
    return ForwardingBackend::set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count == 1 && std::exchange(delivered_, out[0].token) == out[0].token)
      result.count = 0;
    return result;
  }

 private:
  Token delivered_ = nobody;
};

/// Reports what the wait before has seen.
class Late : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = ForwardingBackend::wait(out, timeout);
    const RawEvent now = result.count > 0 ? out[0] : RawEvent{};
    out[0] = std::exchange(before_, now);
    result.count = out[0].ready != RawReady::none ? 1 : 0;
    return result;
  }

 private:
  RawEvent before_;
};

/// Of two reports for one registration that differ, hands over the later one first.
class Reorders : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    if (!overtaken_.empty()) {
      out[0] = overtaken_.back();
      overtaken_.pop_back();
      return {.count = 1};
    }
    WaitResult result = ForwardingBackend::wait(out, timeout);
    std::uint32_t kept = 0;
    for (const RawEvent event : out.first(result.count)) {
      RawEvent& last = last_.try_emplace(event.token.slot, RawEvent{nobody}).first->second;
      const RawEvent before = std::exchange(last, event);
      if (before.token != event.token) continue;  // held back: comes again, while it is true
      if (before.ready != event.ready) overtaken_.push_back(before);
      out[kept++] = event;
    }
    result.count = kept;
    return result;
  }

 private:
  std::map<std::uint32_t, RawEvent> last_;  ///< by slot
  std::vector<RawEvent> overtaken_;
};

/// Hands tokens back without their generation.
class ForgetsGenerations : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    for (RawEvent& event : out.first(result.count)) event.token.generation = 0;
    return result;
  }
};

/// Ignores one sort of request, and says that it was done.
class Ignores : public ForwardingBackend {
 public:
  using Request = std::function<bool(RawInterest from, RawInterest to)>;
  Ignores(std::unique_ptr<Backend> inner, Request ignored)
      : ForwardingBackend{std::move(inner)}, ignored_{std::move(ignored)} {}

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (ignored_(from, to)) return {};
    return ForwardingBackend::set_interest(handle, from, to, token);
  }

 private:
  Request ignored_;
};

/// Never removes anything, and a new set is the old one.
class NeverRemoves : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (to == RawInterest::none) return {};
    const auto error = ForwardingBackend::set_interest(handle, from, to, token);
    return error == std::errc::file_exists ? ForwardingBackend::set_interest(handle, to, to, token)
                                           : error;
  }
  std::error_code reset() override { return {}; }
};

/// Never lets go of what has hung up.
class KeepsTheDead : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (to == RawInterest::none && token == dead_) return {};
    return ForwardingBackend::set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    for (const RawEvent& event : out.first(result.count)) {
      if (any(event.ready, RawReady::hup | RawReady::err)) dead_ = event.token;
    }
    return result;
  }
  std::error_code reset() override {
    return dead_ == nobody ? ForwardingBackend::reset() : std::error_code{};
  }

 private:
  Token dead_ = nobody;
};

/// Loses one report of what is reported only once.
class DropsEdges : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    const auto error = ForwardingBackend::set_interest(handle, from, to, token);
    if (any(to, RawInterest::edge) && !error) edge_ = token;
    return error;
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = ForwardingBackend::wait(out, timeout);
    if (result.count == 1 && out[0].token == edge_) {
      edge_ = nobody;
      result.count = 0;
    }
    return result;
  }

 private:
  Token edge_ = nobody;
};

/// Of several reports hands over that of the first registration only.
class Starves : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    std::array<RawEvent, 256> all;
    WaitResult result = ForwardingBackend::wait(all, timeout);
    if (result.count == 0) return result;
    out[0] = *std::ranges::min_element(all.begin(), all.begin() + result.count, {},
                                       [](const RawEvent& event) { return event.token.slot; });
    result.count = 1;
    return result;
  }
};

/// Never wakes for other threads.
class LosesWakes : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void wake() noexcept override {}
};

/// Takes whatever it is given.
class RefusesNothing : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    static_cast<void>(ForwardingBackend::set_interest(handle, from, to, token));
    return {};
  }
};

/// Claims more than it can tell.
class Boasts : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  RawReady reports() const noexcept override {
    return RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;
  }
};

/// `sound`, wrapped into a Broken.
template <class Broken, class... Arguments>
Contestant broken_of(const Contestant& sound, std::string name, Arguments... arguments) {
  return {std::move(name), [=] { return std::make_unique<Broken>(sound.make(), arguments...); }};
}

template <class Broken, class... Arguments>
Contestant broken(std::string name, Arguments... arguments) {
  return broken_of<Broken>(sound_contestant(), std::move(name), std::move(arguments)...);
}

/// Whether it is taken at its word on all that can be claimed.
bool believed(const Contestant& contestant) {
  return any(contestant.make()->reports(), RawReady::rdhup);
}

Contestant changes(std::string name, ChangesBits::Change change) {
  return broken<ChangesBits>(std::move(name), std::move(change));
}

}  // namespace

Contestant sound_contestant() {
  const auto can_be_used = [](const BackendInfo& backend) {
    std::error_code error;
    return usable(backend, error);
  };
  const auto found = std::ranges::find_if(backends(), can_be_used);
  return found == backends().end() ? backends().front() : *found;
}

std::vector<Contestant> broken_contestants() {
  const auto any_bit = [](RawReady wanted) {
    return [wanted](RawReady ready) { return any(ready, wanted); };
  };
  const auto has_hup = any_bit(RawReady::hup);
  const auto has_rdhup = any_bit(RawReady::rdhup);
  std::vector<Contestant> all{
      changes("loses_in", [](RawReady bits) { return without(bits, RawReady::in); }),
      changes("loses_out", [](RawReady bits) { return without(bits, RawReady::out); }),
      changes("loses_hup_and_err",
              [](RawReady bits) { return without(bits, RawReady::hup | RawReady::err); }),
      changes("takes_hup_for_in",
              [=](RawReady bits) {
                return has_hup(bits) ? without(bits, RawReady::hup) | RawReady::in : bits;
              }),
      changes("swaps_in_and_out",
              [](RawReady bits) {
                RawReady swapped = without(bits, RawReady::in | RawReady::out);
                if (any(bits, RawReady::in)) swapped |= RawReady::out;
                if (any(bits, RawReady::out)) swapped |= RawReady::in;
                return swapped;
              }),
      broken<Once>("reports_only_once"),
      broken<ForgetsGenerations>("forgets_generations"),
      broken<NeverRemoves>("never_removes"),
      broken<KeepsTheDead>("keeps_the_dead"),
      broken<Ignores>("never_changes",
                      [](RawInterest from, RawInterest to) {
                        return from != RawInterest::none && to != RawInterest::none;
                      }),
  };
  // What only a backend that is believed can spoil: of the others every report is looked into.
  if (believed(sound_contestant())) {
    all.push_back(changes("takes_rdhup_for_hup", [=](RawReady bits) {
      return has_rdhup(bits) ? bits | RawReady::hup : bits;
    }));
    all.push_back(changes("makes_up_hup", [](RawReady bits) { return bits | RawReady::hup; }));
    all.push_back(broken<Repeats>("repeats"));
    all.push_back(broken<Late>("is_late"));
    all.push_back(broken<Reorders>("reorders"));
  }
  if (!believed(backends().back())) all.push_back(broken_of<Boasts>(backends().back(), "boasts"));
  return all;
}

std::vector<Contestant> broken_beyond_one_stream() {
  std::vector<Contestant> all{
      broken<Starves>("starves"),
      broken<LosesWakes>("loses_wakes"),
      broken<RefusesNothing>("refuses_nothing"),
  };
  // Those of ours that are believed have edges.
  if (believed(sound_contestant())) all.push_back(broken<DropsEdges>("drops_edges"));
  return all;
}

}  // namespace pollux::differential
