// SPDX-License-Identifier: MIT
#include <pollux/resolver.hpp>

#include <atomic>
#include <mutex>
#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>
#include <pollux/reactor.hpp>

#include "platform/resolving.hpp"
#include "streams/lookup_thread.hpp"

namespace pollux {

namespace detail {

/// Shared by both sides. The handler never leaves the loop's thread: what another thread may be the
/// last to let go of has none any more.
class LookupState : public std::enable_shared_from_this<LookupState> {
 public:
  LookupState(std::string_view host, std::uint16_t port, Poster&& poster,
              Handler<Resolved>&& handler)
      : host_{host}, port_{port}, handler_{std::move(handler)}, poster_{std::move(poster)} {}

  const std::string& host() const noexcept { return host_; }
  std::uint16_t port() const noexcept { return port_; }

  // Any thread.

  bool is_wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }

  bool answer(Resolved&& resolved) noexcept {
    const std::lock_guard lock{mutex_};
    if (answered_) return true;
    std::error_code error;
    if (is_wanted()) {
      resolved_ = std::move(resolved);
      report_memory(
          error, [&] { poster_.post([state = shared_from_this()] { state->deliver(); }, error); });
      if (error == std::errc::not_enough_memory) {
        resolved = std::move(resolved_);
        return false;
      }
    }
    answered_ = true;
    poster_ = Poster{};
    return true;
  }

  // The loop's thread.

  bool is_open() const noexcept { return static_cast<bool>(handler_); }

  void cancel() noexcept {
    wanted_.store(false, std::memory_order_relaxed);
    {
      // The loop need not go on for it.
      const std::lock_guard lock{mutex_};
      poster_ = Poster{};
    }
    const AnyHandler forgotten = std::move(handler_);  // which may own the Lookup
  }

 private:
  void deliver() {
    if (!handler_) return;
    AnyHandler handler = std::move(handler_);
    if (!resolved_.error && resolved_.addresses.empty()) resolved_.error = Errc::host_not_found;
    handler.call(&resolved_);
  }

  const std::string host_;
  const std::uint16_t port_;
  AnyHandler handler_;  ///< the loop's
  std::atomic<bool> wanted_{true};
  std::mutex mutex_;
  Poster poster_;          ///< guarded by mutex_
  bool answered_ = false;  ///< guarded by mutex_
  Resolved resolved_;      ///< of whoever answers, then the loop's
};

}  // namespace detail

void Lookup::reset() noexcept {
  if (const auto state = std::move(state_)) state->cancel();
}
Lookup::operator bool() const noexcept {
  return state_ != nullptr && state_->is_open();
}

const std::string& PendingLookup::host() const noexcept {
  return state_->host();
}
std::uint16_t PendingLookup::port() const noexcept {
  return state_->port();
}
bool PendingLookup::is_wanted() const noexcept {
  return state_ != nullptr && state_->is_wanted();
}
bool PendingLookup::answer(Resolved&& resolved) noexcept {
  return state_ == nullptr || state_->answer(std::move(resolved));
}
void PendingLookup::abandon() noexcept {
  if (const auto state = std::move(state_))
    state->answer({system_error_code(std::errc::operation_canceled), {}});
}

Resolver::~Resolver() = default;

Lookup Resolver::resolve(Reactor& reactor, std::string_view host, std::uint16_t port,
                         Handler<Resolved> handler, std::error_code& error) {
  error.clear();
  if (host.empty() || host.find('\0') != std::string_view::npos) {
    error = system_error_code(std::errc::invalid_argument);
  } else if (reactor.backend_name().empty()) {
    error = Errc::reactor_closed;
  }
  if (error) return {};
  return report_memory(error, [&] {
    const auto state =
        std::make_shared<detail::LookupState>(host, port, reactor.poster(), std::move(handler));
    Lookup lookup{state};
    start(reactor, PendingLookup{state});
    return lookup;
  });
}

Lookup Resolver::resolve(Reactor& reactor, std::string_view host, std::uint16_t port,
                         Handler<Resolved> handler) {
  std::error_code error;
  Lookup lookup = resolve(reactor, host, port, std::move(handler), error);
  if (error) throw std::system_error{error, "pollux::Resolver::resolve"};
  return lookup;
}

namespace {

Resolved ask_the_system(const char* host, std::uint16_t port) noexcept {
  return detail::platform::resolve(host, port, detail::platform::Names::all);
}

}  // namespace

SystemResolver::SystemResolver()
    : thread_{std::make_unique<detail::LookupThread>(&ask_the_system)} {}
SystemResolver::~SystemResolver() = default;

void SystemResolver::start(Reactor&, PendingLookup lookup) {
  Resolved resolved = detail::platform::resolve(lookup.host().c_str(), lookup.port(),
                                                detail::platform::Names::numeric);
  if (resolved.error == Errc::host_not_found) return thread_->add(std::move(lookup));
  if (!lookup.answer(std::move(resolved))) throw std::bad_alloc{};
}

}  // namespace pollux
