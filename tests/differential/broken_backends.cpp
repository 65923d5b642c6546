// SPDX-License-Identifier: MIT
#include "differential/broken_backends.hpp"

#include <functional>
#include <system_error>
#include <utility>

#include <pollux/backends.hpp>

namespace pollux::differential {

namespace {

/// Passes everything on, for others to spoil.
class PassingOn : public Backend {
 public:
  explicit PassingOn(std::unique_ptr<Backend> inner) : inner_{std::move(inner)} {}

  std::string_view name() const noexcept override { return inner_->name(); }
  RawReady reports() const noexcept override { return inner_->reports(); }
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    return inner_->set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    return inner_->wait(out, timeout);
  }
  void wake() noexcept override { inner_->wake(); }
  std::error_code reset() override { return inner_->reset(); }

 private:
  std::unique_ptr<Backend> inner_;
};

RawReady without(RawReady bits, RawReady lost) {
  return static_cast<RawReady>(static_cast<unsigned>(bits) & ~static_cast<unsigned>(lost));
}

/// Changes the bits of each report.
class ChangesBits : public PassingOn {
 public:
  using Change = std::function<RawReady(RawReady)>;
  ChangesBits(std::unique_ptr<Backend> inner, Change change)
      : PassingOn{std::move(inner)}, change_{std::move(change)} {}

  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = PassingOn::wait(out, timeout);
    for (RawEvent& event : out.first(result.count)) event.ready = change_(event.ready);
    return result;
  }

 private:
  Change change_;
};

/// Reports the last report once more when there is nothing to report.
class Repeats : public PassingOn {
 public:
  using PassingOn::PassingOn;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = PassingOn::wait(out, timeout);
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
class Once : public PassingOn {
 public:
  using PassingOn::PassingOn;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    told_ = Token{0xFFFFFFFF, 0};
    return PassingOn::set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = PassingOn::wait(out, timeout);
    if (result.count == 1 && std::exchange(told_, out[0].token) == out[0].token) result.count = 0;
    return result;
  }

 private:
  Token told_{0xFFFFFFFF, 0};
};

/// Reports what the wait before has seen.
class Late : public PassingOn {
 public:
  using PassingOn::PassingOn;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    WaitResult result = PassingOn::wait(out, timeout);
    const RawEvent now = result.count > 0 ? out[0] : RawEvent{};
    out[0] = std::exchange(before_, now);
    result.count = out[0].ready != RawReady::none ? 1 : 0;
    return result;
  }

 private:
  RawEvent before_;
};

/// Hands tokens back without their generation.
class ForgetsGenerations : public PassingOn {
 public:
  using PassingOn::PassingOn;
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = PassingOn::wait(out, timeout);
    for (RawEvent& event : out.first(result.count)) event.token.generation = 0;
    return result;
  }
};

/// Ignores one sort of request, and says that it was done.
class Ignores : public PassingOn {
 public:
  using Request = std::function<bool(RawInterest from, RawInterest to)>;
  Ignores(std::unique_ptr<Backend> inner, Request ignored)
      : PassingOn{std::move(inner)}, ignored_{std::move(ignored)} {}

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (ignored_(from, to)) return {};
    return PassingOn::set_interest(handle, from, to, token);
  }

 private:
  Request ignored_;
};

/// Never removes anything, and a new set is the old one.
class NeverRemoves : public PassingOn {
 public:
  using PassingOn::PassingOn;
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (to == RawInterest::none) return {};
    const auto error = PassingOn::set_interest(handle, from, to, token);
    return error == std::errc::file_exists ? PassingOn::set_interest(handle, to, to, token) : error;
  }
  std::error_code reset() override { return {}; }
};

/// Claims more than it can tell.
class Boasts : public PassingOn {
 public:
  using PassingOn::PassingOn;
  RawReady reports() const noexcept override {
    return RawReady::in | RawReady::out | RawReady::rdhup | RawReady::hup | RawReady::err;
  }
};

std::unique_ptr<Backend> backend(std::string_view name) {
  std::error_code error;
  auto made = make_backend(name, error);
  if (error) throw std::system_error{error, std::string{name}};
  return made;
}

template <class Broken, class... Arguments>
Contestant broken(std::string name, Arguments... arguments) {
  return {std::move(name),
          [=] { return std::make_unique<Broken>(backend(backends().front().name), arguments...); }};
}

Contestant changes(std::string name, ChangesBits::Change change) {
  return broken<ChangesBits>(std::move(name), std::move(change));
}

}  // namespace

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
      changes("makes_up_hup", [](RawReady bits) { return bits | RawReady::hup; }),
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
      broken<Ignores>("never_changes",
                      [](RawInterest from, RawInterest to) {
                        return from != RawInterest::none && to != RawInterest::none;
                      }),
  };
  // What only a backend that is believed can spoil: of the others every report is looked into.
  if (any(backend(backends().front().name)->reports(), RawReady::rdhup)) {
    all.push_back(changes("takes_rdhup_for_hup", [=](RawReady bits) {
      return has_rdhup(bits) ? bits | RawReady::hup : bits;
    }));
    all.push_back(broken<Repeats>("repeats"));
    all.push_back(broken<Late>("is_late"));
  }
  const std::string_view modest = backends().back().name;
  if (!any(backend(modest)->reports(), RawReady::rdhup))
    all.push_back({"boasts", [=] { return std::make_unique<Boasts>(backend(modest)); }});
  return all;
}

}  // namespace pollux::differential
