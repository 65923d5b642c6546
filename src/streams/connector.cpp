// SPDX-License-Identifier: MIT
// The public face of a connector.
#include <pollux/connector.hpp>

#include <vector>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "streams/address_order.hpp"
#include "streams/connector_core.hpp"

namespace pollux {

using detail::ConnectorCore;

namespace {

/// Makes the core, and has `begin` start it. Null, and an error, if that is refused.
template <class Begin>
std::shared_ptr<ConnectorCore> make(Reactor& reactor, ConnectHandler&& handler,
                                    const ConnectOptions& options, std::error_code& error,
                                    Begin begin) {
  error.clear();
  detail::StreamService* const service = detail::StreamService::of(reactor, error);
  if (service == nullptr) return nullptr;
  const auto core = report_memory(error, [&] {
    return std::make_shared<ConnectorCore>(*service, std::move(handler), options);
  });
  if (core == nullptr) return nullptr;
  error = core->start();
  if (!error) report_memory(error, [&] { begin(*core); });
  if (!error) return core;
  core->cancel();
  return nullptr;
}

void throw_if(std::error_code error) {
  if (error) throw std::system_error{error, "pollux::Connector"};
}

}  // namespace

Connector::Connector(Reactor& reactor, std::span<const Address> addresses, ConnectHandler handler,
                     const ConnectOptions& options, std::error_code& error)
    : core_{make(reactor, std::move(handler), options, error, [&](ConnectorCore& core) {
        core.connect(detail::interleaved({addresses.begin(), addresses.end()}));
      })} {}
Connector::Connector(Reactor& reactor, std::span<const Address> addresses, ConnectHandler handler,
                     const ConnectOptions& options) {
  std::error_code error;
  *this = Connector{reactor, addresses, std::move(handler), options, error};
  throw_if(error);
}

Connector::Connector(Reactor& reactor, const Address& address, ConnectHandler handler,
                     const ConnectOptions& options, std::error_code& error)
    : Connector{reactor, std::span{&address, 1}, std::move(handler), options, error} {}
Connector::Connector(Reactor& reactor, const Address& address, ConnectHandler handler,
                     const ConnectOptions& options)
    : Connector{reactor, std::span{&address, 1}, std::move(handler), options} {}

Connector::Connector(Reactor& reactor, Resolver& resolver, std::string_view host,
                     std::uint16_t port, ConnectHandler handler, const ConnectOptions& options,
                     std::error_code& error)
    : core_{make(reactor, std::move(handler), options, error,
                 [&](ConnectorCore& core) { core.resolve(resolver, host, port, error); })} {}
Connector::Connector(Reactor& reactor, Resolver& resolver, std::string_view host,
                     std::uint16_t port, ConnectHandler handler, const ConnectOptions& options) {
  std::error_code error;
  *this = Connector{reactor, resolver, host, port, std::move(handler), options, error};
  throw_if(error);
}

Connector& Connector::operator=(Connector&& other) noexcept {
  if (this != &other) {
    cancel();
    core_ = std::move(other.core_);
  }
  return *this;
}
Connector::~Connector() {
  cancel();
}

Connector::operator bool() const noexcept {
  return core_ != nullptr && core_->is_open();
}
void Connector::cancel() noexcept {
  if (const auto core = std::move(core_)) core->cancel();
}
void Connector::detach() noexcept {
  core_.reset();
}

}  // namespace pollux
