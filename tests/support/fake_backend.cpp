// SPDX-License-Identifier: MIT
#include "support/fake_backend.hpp"

#include <algorithm>
#include <utility>

namespace pollux::support {

namespace {

RawReady only(RawReady bits, RawReady of) {
  return static_cast<RawReady>(static_cast<unsigned>(bits) & static_cast<unsigned>(of));
}

}  // namespace

void FakeBackend::set_ready(NativeHandle handle, RawReady ready) {
  ready_[handle] = ready;
  if (Registration* registration = find(handle)) registration->news = true;
}

void FakeBackend::after(std::chrono::nanoseconds delay, std::function<void()> action) {
  actions_.push_back({FakeClock::now() + delay, std::move(action)});
}

int FakeBackend::count(Operation wanted) const {
  return static_cast<int>(std::count_if(calls_.begin(), calls_.end(), [&](const FakeCall& call) {
    return operation(call.from, call.to) == wanted;
  }));
}

RawInterest FakeBackend::interest(NativeHandle handle) const {
  const auto found = std::find_if(registrations_.begin(), registrations_.end(),
                                  [&](const auto& r) { return r.handle == handle && !r.closed; });
  return found != registrations_.end() ? found->interest : RawInterest::none;
}

FakeBackend::Operation FakeBackend::operation(RawInterest from, RawInterest to) {
  if (from == RawInterest::none) return Operation::add;
  if (from == to) return Operation::ask;
  return to == RawInterest::none ? Operation::remove : Operation::change;
}

std::error_code FakeBackend::failure_of(Operation operation) {
  const auto planned = failures_.find(operation);
  if (planned == failures_.end() || --planned->second.calls_left > 0) return {};
  const std::error_code error = planned->second.error;
  if (--planned->second.times <= 0) failures_.erase(planned);
  ++failed_;
  return error;
}

FakeBackend::Registration* FakeBackend::find(NativeHandle handle) {
  for (Registration& registration : registrations_) {
    if (registration.handle == handle && !registration.closed) return &registration;
  }
  return nullptr;
}

void FakeBackend::close(NativeHandle handle, bool keep_duplicate) {
  Registration* registration = find(handle);
  if (registration == nullptr) return;
  registration->ready = ready_[handle];
  registration->closed = true;
  if (!keep_duplicate) forget(registration);
  ready_.erase(handle);
}

void FakeBackend::forget(const Registration* registration) {
  registrations_.erase(registrations_.begin() + (registration - registrations_.data()));
}

std::error_code FakeBackend::set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                                          Token token) {
  FakeCall call{FakeClock::now(), handle, from, to, token, {}};
  complain_about(call);
  call.answer = failure_of(operation(from, to));
  if (!call.answer) call.answer = answer(call);
  calls_.push_back(call);
  return call.answer;
}

void FakeBackend::complain_about(const FakeCall& call) {
  const auto complain = [&](const char* what) {
    complaints_.push_back("handle " + std::to_string(call.handle) + ": " + what);
  };
  if (call.from == RawInterest::none && call.to == RawInterest::none)
    complain("a call about nothing");
  if (any(call.to, RawInterest::rdhup) && !any(reports_, RawReady::rdhup))
    complain("rdhup asked of a backend that does not report it");
  if (any(call.to, RawInterest::hup) &&
      any(call.to, RawInterest::in | RawInterest::out | RawInterest::rdhup))
    complain("hup does not stand alone");
  const Registration* registration = find(call.handle);
  if (registration == nullptr || registration->token != call.token) return;
  if (call.from != registration->interest) complain("from is not what was asked for last");
}

std::error_code FakeBackend::answer(const FakeCall& call) {
  // Negative, where handles are: no test gives out so many.
  if (static_cast<std::intptr_t>(call.handle) < 0)
    return system_error_code(std::errc::bad_file_descriptor);
  if (any(call.to, RawInterest::edge) && !edges_)
    return system_error_code(std::errc::operation_not_supported);
  Registration* registration = find(call.handle);
  if (call.from == RawInterest::none) {
    if (registration != nullptr) return system_error_code(std::errc::file_exists);
    registrations_.push_back({call.handle, call.token, call.to});
    return {};
  }
  if (registration == nullptr) return system_error_code(std::errc::bad_file_descriptor);
  if (registration->token != call.token)
    return system_error_code(std::errc::no_such_file_or_directory);
  if (call.to == RawInterest::none) {
    forget(registration);
  } else {
    registration->interest = call.to;
    registration->news = true;
  }
  return {};
}

RawReady FakeBackend::received(const Registration& registration) const {
  const auto state = ready_.find(registration.handle);
  const RawReady ready = registration.closed     ? registration.ready
                         : state != ready_.end() ? state->second
                                                 : RawReady::none;
  if (any(registration.interest, RawInterest::edge) && !registration.news) return RawReady::none;
  RawReady asked = RawReady::hup | RawReady::err;
  if (any(registration.interest, RawInterest::in)) asked |= RawReady::in;
  if (any(registration.interest, RawInterest::out)) asked |= RawReady::out;
  if (any(registration.interest, RawInterest::rdhup)) asked |= RawReady::rdhup;
  // Some kernels show it unasked; what nobody wants of it is the core's affair.
  if (any(registration.interest, RawInterest::pri) || any(ready, RawReady::pri))
    asked |= RawReady::pri;
  return only(ready, asked);
}

std::uint32_t FakeBackend::collect(std::span<RawEvent> out) {
  std::uint32_t count = 0;
  while (count < out.size() && !extra_.empty()) {
    out[count++] = extra_.front();
    extra_.erase(extra_.begin());
  }
  for (std::size_t seen = 0; seen < registrations_.size() && count < out.size(); ++seen) {
    if (next_ >= registrations_.size()) next_ = 0;
    Registration& registration = registrations_[next_++];
    const RawReady ready = received(registration);
    if (ready == RawReady::none) continue;
    out[count++] = {registration.token, ready};
    registration.news = false;
  }
  return count;
}

FakeClock::time_point FakeBackend::next_action() const {
  auto earliest = FakeClock::time_point::max();
  for (const Action& action : actions_) earliest = std::min(earliest, action.when);
  return earliest;
}

void FakeBackend::act_until(FakeClock::time_point now) {
  while (next_action() <= now) {
    const auto due = std::find_if(actions_.begin(), actions_.end(),
                                  [&](const Action& action) { return action.when <= now; });
    const auto run = std::move(due->run);
    actions_.erase(due);
    run();
  }
}

WaitResult FakeBackend::wait(std::span<RawEvent> out, Timeout timeout) {
  waits_.push_back(timeout);
  if (const std::error_code error = failure_of(Operation::wait)) return {.error = error.value()};
  const auto deadline = detail::later(FakeClock::now(), timeout.duration());
  while (true) {
    act_until(FakeClock::now());
    if (interrupts_ > 0) {
      --interrupts_;
      return {};
    }
    const WaitResult result{.count = collect(out)};
    const bool woken = woken_.exchange(false);
    if (result.count > 0 || woken || FakeClock::now() >= deadline) return result;
    const auto next = std::min(deadline, next_action());
    if (next == FakeClock::time_point::max())
      return {.error = system_error_code(std::errc::resource_deadlock_would_occur).value()};
    FakeClock::set(next);
  }
}

std::error_code FakeBackend::reset() {
  ++resets_;
  if (const std::error_code error = failure_of(Operation::reset)) return error;
  registrations_.clear();
  next_ = 0;
  return {};
}

}  // namespace pollux::support
