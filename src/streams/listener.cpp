// SPDX-License-Identifier: MIT
// The public face of a listener: everything is passed on to its core.
#include <pollux/listener.hpp>

#include <utility>

#include <pollux/backend_support.hpp>

#include "streams/listener_core.hpp"

namespace pollux {

using detail::ListenerCore;

namespace {

void throw_if(const std::error_code& error) {
  if (error) throw std::system_error{error, "pollux::Listener"};
}

/// A core that `start` has started; null, and an error, otherwise.
template <class Start>
std::shared_ptr<ListenerCore> started(Reactor& reactor, AcceptHandler&& handler,
                                      const ListenerOptions& options, std::error_code& error,
                                      Start start) {
  error.clear();
  auto core = report_memory(
      error, [&] { return std::make_shared<ListenerCore>(reactor, std::move(handler), options); });
  if (!error) error = start(*core);
  if (error) core = nullptr;
  return core;
}

}  // namespace

Listener::Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
                   const ListenerOptions& options, std::error_code& error)
    : core_{started(reactor, std::move(handler), options, error,
                    [&](ListenerCore& core) { return core.listen(address); })} {}
Listener::Listener(Reactor& reactor, const Address& address, AcceptHandler handler,
                   const ListenerOptions& options) {
  std::error_code error;
  *this = Listener{reactor, address, std::move(handler), options, error};
  throw_if(error);
}
Listener::Listener(Reactor& reactor, UniqueHandle handle, AcceptHandler handler,
                   const ListenerOptions& options, std::error_code& error)
    : core_{started(reactor, std::move(handler), options, error,
                    [&](ListenerCore& core) { return core.start(std::move(handle)); })} {}
Listener::Listener(Reactor& reactor, UniqueHandle handle, AcceptHandler handler,
                   const ListenerOptions& options) {
  std::error_code error;
  *this = Listener{reactor, std::move(handle), std::move(handler), options, error};
  throw_if(error);
}
Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}
Listener::~Listener() {
  close();
}

Address Listener::address() const noexcept {
  return core_ ? core_->address() : Address{};
}
std::size_t Listener::connections() const noexcept {
  return core_ ? core_->connections() : 0;
}
ListenerStats Listener::stats() const noexcept {
  return core_ ? core_->stats() : ListenerStats{};
}
void Listener::pause() noexcept {
  if (core_) core_->pause();
}
void Listener::resume() noexcept {
  if (core_) core_->resume();
}
void Listener::close() noexcept {
  // The last who has it may be in its own handler.
  if (const std::shared_ptr<ListenerCore> core = core_) core->close();
}
Listener::operator bool() const noexcept {
  return core_ && core_->is_open();
}
NativeHandle Listener::native_handle() const noexcept {
  return core_ ? core_->native_handle() : no_handle;
}

}  // namespace pollux
