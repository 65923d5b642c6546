// SPDX-License-Identifier: MIT
// Attempts at addresses, one beside another, until one is connected.
#include "streams/connector_core.hpp"

#include <algorithm>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/connecting.hpp"
#include "platform/platform.hpp"
#include "platform/stream_io.hpp"
#include "streams/address_order.hpp"

namespace pollux::detail {

namespace {

using std::chrono::milliseconds;

/// RFC 8305, section 8: less is never wanted.
constexpr milliseconds least_attempt_delay{10};
// How soon a listener without room is asked again: each time it takes twice as long.
constexpr milliseconds least_crowded_delay{1};
constexpr milliseconds most_crowded_delay{100};

/// How much a failure says: least, if the host was never reached; most, if there was nothing to
/// reach it with.
int weight_of(std::error_code why) noexcept {
  if (!why) return 0;
  for (const std::errc of_the_way :
       {std::errc::network_unreachable, std::errc::host_unreachable, std::errc::network_down,
        std::errc::address_not_available, std::errc::address_family_not_supported}) {
    if (why == of_the_way) return 1;
  }
  for (const std::errc exhausted :
       {std::errc::not_enough_memory, std::errc::too_many_files_open,
        std::errc::too_many_files_open_in_system, std::errc::no_buffer_space}) {
    if (why == exhausted) return 3;
  }
  return 2;
}

}  // namespace

// Its beginning.

std::error_code ConnectorCore::start() {
  std::error_code error;
  Reactor& reactor = *service_.reactor();
  report_memory(error, [&] {
    step_ = reactor.timer([self = shared_from_this()] { self->step(); }, error);
    if (!error) crowded_ = reactor.timer([this] { retry_crowded(); }, error);
    if (error || options_.timeout.count() == 0) return;
    deadline_ = reactor.after(
        options_.timeout, [this] { fail(system_error_code(std::errc::timed_out)); }, error);
  });
  return error;
}

void ConnectorCore::connect(std::vector<Address> addresses) {
  attempts_.reserve(addresses.size());
  addresses_ = std::move(addresses);
  failure_ = {};
  if (addresses_.empty()) failure_ = system_error_code(std::errc::invalid_argument);
  try_next();
}

void ConnectorCore::resolve(Resolver& resolver, std::string_view host, std::uint16_t port,
                            std::error_code& error) {
  lookup_ = resolver.resolve(
      *service_.reactor(), host, port, [this](const Resolved& found) { resolved(found); }, error);
}

void ConnectorCore::resolved(const Resolved& found) {
  const auto hold = shared_from_this();
  if (found.error) return fail(found.error);
  std::error_code error;
  report_memory(error, [&] { connect(interleaved(found.addresses)); });
  if (error) fail(error);
}

// The attempts.

/// Begins the next, and those behind it that have failed already when they are begun.
void ConnectorCore::try_next() {
  while (attempts_.size() < addresses_.size()) {
    Attempt& attempt = attempts_.emplace_back();
    attempt.address = &addresses_[attempts_.size() - 1];
    ++running_;
    if (!begin(attempt)) continue;
    if (attempts_.size() < addresses_.size())
      step_after(std::max<std::chrono::nanoseconds>(options_.attempt_delay, least_attempt_delay));
    return;
  }
  if (running_ == 0) step_after({});
}

bool ConnectorCore::begin(Attempt& attempt) {
  std::error_code why;
  if (options_.local.family() != Address::Family::none &&
      options_.local.family() != attempt.address->family()) {
    why = system_error_code(std::errc::address_family_not_supported);
  } else {
    const platform::Connecting connecting =
        platform::connect_to(*attempt.address, options_.local, options_.no_delay, service_.calls());
    attempt.socket.reset(connecting.handle);
    attempt.is_crowded = connecting.is_crowded;
    if (connecting.error != 0) why = platform::error_code(connecting.error);
  }
  if (!why) why = watch(attempt);
  if (why) end(attempt, why);
  return !why;
}

/// What is connected already is ready to be written: it is delivered in the next turn like others.
std::error_code ConnectorCore::watch(Attempt& attempt) {
  std::error_code error;
  if (attempt.is_crowded) {
    if (crowded_.armed()) return {};
    crowded_delay_ = std::clamp<std::chrono::nanoseconds>(2 * crowded_delay_, least_crowded_delay,
                                                          most_crowded_delay);
    crowded_.restart(crowded_delay_, error);
  } else {
    attempt.watch = service_.reactor()->watch(
        attempt.socket.get(), Interest::writable,
        [this, &attempt](Readiness readiness) { progress(attempt, readiness); }, error);
  }
  return error;
}

void ConnectorCore::progress(Attempt& attempt, Readiness readiness) {
  const auto hold = shared_from_this();
  const platform::ConnectResult result =
      platform::connect_result(attempt.socket.get(), service_.calls());
  std::error_code why;
  if (result.error != 0) {
    why = platform::error_code(result.error);
  } else if (result.is_under_way) {
    // Somebody else has taken the error.
    if (!readiness.error() && !readiness.hangup()) return;
    why = system_error_code(std::errc::not_connected);
  } else {
    attempt.watch.reset();
    Stream stream{*service_.reactor(), std::move(attempt.socket), options_.stream, why};
    return finish(why, std::move(stream));
  }
  end(attempt, why);
  try_next();
}

void ConnectorCore::retry_crowded() {
  const auto hold = shared_from_this();
  bool any_failed = false;
  for (Attempt& attempt : attempts_) {
    if (std::exchange(attempt.is_crowded, false)) any_failed |= !begin(attempt);
  }
  if (any_failed) try_next();
}

void ConnectorCore::end(Attempt& attempt, std::error_code why) noexcept {
  attempt.watch.reset();
  attempt.socket.reset();
  attempt.is_crowded = false;
  --running_;
  if (weight_of(why) > weight_of(failure_)) failure_ = why;
}

/// An attempt has been alone for long enough, or all have failed.
void ConnectorCore::step() {
  const auto hold = shared_from_this();
  if (attempts_.size() < addresses_.size()) {
    try_next();
  } else if (running_ == 0) {
    fail(failure_);
  }
}

void ConnectorCore::step_after(std::chrono::nanoseconds delay) noexcept {
  std::error_code reactor_gone;
  step_.restart(delay, reactor_gone);
}

// The end.

void ConnectorCore::finish(std::error_code error, Stream stream) {
  const auto hold = shared_from_this();
  release();
  AnyHandler handler = std::move(handler_);
  if (!handler) return;
  const ConnectCall call{error, stream};
  handler.call(&call);
}

void ConnectorCore::cancel() noexcept {
  const auto hold = shared_from_this();
  release();
  const AnyHandler forgotten = std::move(handler_);  // which may own the Connector
}

void ConnectorCore::release() noexcept {
  done_ = true;
  // A handshake that ends behind the close is answered with a reset. So is one that has ended
  // already: what nobody has got is not to look like a connection that has come to its end.
  for (const Attempt& attempt : attempts_) {
    if (attempt.socket) platform::reset_on_close(attempt.socket.get(), service_.calls());
  }
  attempts_.clear();
  lookup_.reset();
  deadline_.reset();
  crowded_.reset();
  step_.reset();  // last: it holds this
}

}  // namespace pollux::detail
